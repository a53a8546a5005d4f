using Platform.Benchmarks;

// One file per command; each prints a table whose ratios are to limits measured in the same run.
switch (args)
{
    case ["append", .. var options]:
        await AppendBenchmark.Run(options);
        return 0;
    case ["usage", .. var options]:
        await UsageBenchmark.Run(options);
        return 0;
    case ["invoices", .. var options]:
        await InvoiceBenchmark.Run(options);
        return 0;
    default:
        Console.Error.WriteLine(
            """
            usage: dotnet run -c Release --project tests/Benchmarks -- append [--seconds 3] [--repeats 5] [--writers 8]
                   dotnet run -c Release --project tests/Benchmarks -- usage [--preload 10000000] [--events 100000] [--repeats 5]
                        [--only bulk|http|single] [--endurance 5000000]
                   dotnet run -c Release --project tests/Benchmarks -- invoices [--tenants 10000] [--events 1000000]
            """);
        return 2;
}
