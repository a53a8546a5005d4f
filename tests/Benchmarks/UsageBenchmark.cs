using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Extensions;
using Npgsql;
using NpgsqlTypes;
using Platform.Billing;
using Platform.Billing.Catalog;
using Platform.Billing.Usage;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Benchmarks.Sampling;

namespace Platform.Benchmarks;

/// <summary>
/// <c>usage [--preload 10000000] [--events 100000] [--repeats 5] [--only bulk|http|single] [--endurance 5000000]</c>: the usage ledger
/// beside two limits of the same run, with fsync on: a binary COPY of the same events as (tenant, id, time, jsonb) into a table
/// without an index, on one connection with the same batch size; and one prepared INSERT and commit per event on 32 connections.
/// Samples of all kinds take turns, so that a noisy minute hits all of them; shown are medians. Events are made beforehand, their JSON
/// and hashes within the time. Beside the rates, which the machine's mood changes by the hour, stands what all its processors together spent
/// on an event. A larger preload than a million is sampled at one million too. An endurance run follows where one is
/// asked for: so many events by HTTP, with the memory of Billing's process. Needs PLATFORM_POSTGRES and PLATFORM_RABBITMQ.
/// </summary>
internal sealed class UsageBenchmark(
    NpgsqlDataSource owner, UsageIntake intake, BillingProcess billing, BillingClient client, UsageWorld world,
    Dictionary<Guid, string> keys, IReadOnlyList<MeterView> meters, int events)
{
    private const int Million = 1_000_000;
    private const int HttpBatch = 500;
    private const int InsertConnections = 32;
    private const string AtOneMillion = " at 1 million";

    private readonly Dictionary<string, List<double>> rates = [];
    private readonly Dictionary<string, List<double>> costs = [];
    private readonly Dictionary<string, List<double>> latencies = [];

    public static async Task Run(string[] options)
    {
        var preload = (int)Option(options, "--preload", 10 * Million);
        var events = (int)Option(options, "--events", 100_000);
        var repeats = (int)Option(options, "--repeats", 5);
        var endurance = (int)Option(options, "--endurance", 0);
        var only = Text(options, "--only");

        await using var database = await TestDatabase.Create(BillingDatabase.ApplicationRole, BillingDatabase.SystemRole);
        await using var broker = await TestBroker.Create();
        await using var billing = await BillingProcess.Start(database, broker);
        await using var owner = NpgsqlDataSource.Create(database.Owner);
        await using var services = Services(database);
        using var client = new BillingClient(billing.Address, BillingProcess.OperatorKey);
        await client.DefineMeter();
        var keys = new Dictionary<Guid, string>();
        while (keys.Count < 16)
        {
            var (tenant, key) = await client.NewTenant();
            keys[tenant] = key;
        }

        await Execute(owner, "create schema bench; create table bench.bare (tenant uuid, id text, time timestamptz, event jsonb)");
        var benchmark = new UsageBenchmark(
            owner, services.GetRequiredService<UsageIntake>(), billing, client, new() { TenantIds = [.. keys.Keys] }, keys,
            await MeterView.OfEventTypes(services.GetRequiredService<Documents>(), [UsageWorld.EventType], CancellationToken.None),
            events);
        await benchmark.PrintSettings(repeats, preload);
        await benchmark.Preload(0, Math.Min(preload, Million));
        if (preload > Million)
        {
            await benchmark.Samples(repeats, "bulk", AtOneMillion);
            await benchmark.Preload(Million, preload);
        }

        await benchmark.Samples(repeats, only, "");
        benchmark.Print(preload);
        await benchmark.Endure(endurance);
    }

    private async Task Preload(int done, int count)
    {
        for (; done < count; done += Million)
        {
            // Made piece by piece, so that what is printed is the memory of the work and not of the pile.
            var seconds = 0.0;
            for (var piece = 0; piece < Million; piece += 100_000)
                seconds += (await WorkOff(world.Batches(100_000, 10_000), workers: 2, (_, batch) => Bulk(batch))).Seconds;
            Console.WriteLine($"preloaded {(done + Million) / Million,3} million, the last at {Million / seconds,8:N0} events/s");
        }

        // As a server is that has been up for long: what was preloaded is on disk, and the log has files to write into.
        await Execute(owner, "vacuum analyze");
        await Execute(owner, "checkpoint");
    }

    private async Task Samples(int repeats, string? only, string when)
    {
        // The first round warms connections, plans and the JIT, and does not count.
        for (var repeat = -1; repeat < repeats; repeat++)
            await Sample(only, when, counts: repeat >= 0);
    }

    private async Task Sample(string? only, string when, bool counts)
    {
        if (only is null or "bulk")
        {
            await Execute(owner, "truncate bench.bare");
            await Timed("COPY 1,000", world.Batches(events, 1_000), workers: 1, (_, batch) => Copy(batch));
            await Timed("bulk 1,000", world.Batches(events, 1_000), workers: 4, (_, batch) => Bulk(batch));
            await Execute(owner, "truncate bench.bare");
            await Timed("COPY 10,000", world.Batches(events, 10_000), workers: 1, (_, batch) => Copy(batch));
            await Timed("bulk 10,000", world.Batches(events, 10_000), workers: 2, (_, batch) => Bulk(batch));
        }

        if (only is null or "http")
        {
            await Execute(owner, "truncate bench.bare");
            await Timed("COPY 500", world.Batches(events / 2, HttpBatch), workers: 1, (_, batch) => Copy(batch));
            await this.Timed("HTTP 500" + when, Requests(events / 2), workers: 4, Report, HttpBatch, counts);
        }

        if (only is null or "single")
        {
            await Execute(owner, "truncate bench.bare");
            await using var inserters = await Inserters.Open(owner, InsertConnections);
            await Timed("INSERT 32", world.Batches(events / 10, 1), InsertConnections, inserters.Insert);
            await Timed("single 32", world.Batches(events / 10, 1), workers: 32, (_, batch) => Bulk(batch));
            await Timed("single 256", world.Batches(events / 5, 1), workers: 256, (_, batch) => Bulk(batch));
        }

        Task Timed(string what, List<UsageBatch> pile, int workers, Func<int, UsageBatch, Task> work) =>
            this.Timed(what + when, pile, workers, work, pile[0].Events.Count, counts);
    }

    private async Task Timed<T>(
        string what, IReadOnlyCollection<T> pile, int workers, Func<int, T, Task> work, int eventsEach, bool counts)
    {
        // What was made beforehand is old by then: no collection within the time moves it.
        GC.Collect();
        var busy = BusySeconds();
        var (seconds, milliseconds) = await WorkOff(pile, workers, work);
        busy = BusySeconds() - busy;
        if (!counts)
            return;
        Of(rates).Add(pile.Count * eventsEach / seconds);
        Of(costs).Add(busy * Million / (pile.Count * eventsEach));
        Of(latencies).AddRange(milliseconds);

        List<double> Of(Dictionary<string, List<double>> samples) => samples.TryGetValue(what, out var known) ? known : samples[what] = [];
    }

    /// <summary>Memory that grows with what was taken, and not with what is in hand, shows within so many events.</summary>
    private async Task Endure(int count)
    {
        const int piece = 250_000;
        for (var done = piece; done <= count; done += piece)
        {
            var (seconds, _) = await WorkOff(Requests(piece), workers: 4, Report);
            Console.WriteLine($"{done,10:N0} events by HTTP, the last {piece:N0} at {piece / seconds,8:N0} events/s; Billing's process {billing.MemoryMiB,5:N0} MiB");
        }
    }

    private void Print(int preload)
    {
        Console.WriteLine();
        Console.WriteLine($"{"events/s, median",-44}{"events/s",12}{"ratio",8}  of{"CPU us",19}{"p50 ms",8}{"p99 ms",8}");
        Line("one connection, COPY of 1,000", "COPY 1,000", "COPY 1,000");
        Line("ledger, batches of 1,000, 4 writers", "bulk 1,000", "COPY 1,000");
        Line("one connection, COPY of 10,000", "COPY 10,000", "COPY 10,000");
        Line("ledger, batches of 10,000, 2 writers", "bulk 10,000", "COPY 10,000");
        Line("one connection, COPY of 500", "COPY 500", "COPY 500");
        Line("HTTP, batches of 500, 4 connections", "HTTP 500", "COPY 500");
        Line("INSERT and commit, 32 connections", "INSERT 32", "INSERT 32");
        Line("ledger, one event each, 32 callers", "single 32", "INSERT 32");
        Line("ledger, one event each, 256 callers", "single 256", "INSERT 32");
        if (preload > Million && rates.ContainsKey("bulk 1,000"))
        {
            Console.WriteLine();
            Console.WriteLine($"{$"cost of an event, {Million:N0} rows = 1",-44}{$"at {preload:N0}",20}{"of COPY's",12}{"CPU us",12}");
            CostLine("1,000");
            CostLine("10,000");
        }

        Console.WriteLine();
        Console.WriteLine($"Memory: Billing's process {billing.MemoryMiB:N0} MiB, this process {Environment.WorkingSet / 1024 / 1024:N0} MiB");

        // COPY's table is as empty as before: what its cost went up by is the machine's mood and not the table's size.
        void CostLine(string size)
        {
            foreach (var what in new[] { $"COPY {size}", $"bulk {size}" })
                Console.WriteLine($"{what,-44}{Cost(what),20:0.00}{Cost(what) / Cost($"COPY {size}"),12:0.00}{Cpu(what),12:0.00}");
        }

        double Cpu(string what) => Median(costs[what]) / Median(costs[what + AtOneMillion]);

        double Cost(string what) => Median(rates[what + AtOneMillion]) / Median(rates[what]);

        void Line(string label, string what, string limit)
        {
            if (rates.TryGetValue(what, out var mine))
            {
                Console.WriteLine(
                    $"{label,-44}{Median(mine),12:N0}{Median(mine) / Median(rates[limit]),8:0.00}  {limit,-14}"
                    + $"{Median(costs[what]),7:0.0}{Percentile(latencies[what], 0.5),8:0.0}{Percentile(latencies[what], 0.99),8:0.0}");
            }
        }
    }

    // What is measured.

    private Task<IReadOnlyList<UsageOutcome>> Bulk(UsageBatch batch) =>
        intake.Take(new(batch.Tenant, batch.Events, AttemptId: null, "benchmark") { Meters = meters }, CancellationToken.None);

    private List<(string Key, byte[] Body)> Requests(int count) =>
        [.. world.Batches(count, HttpBatch).Select(batch => (keys[batch.Tenant], Body(batch)))];

    private Task Report(int connection, (string Key, byte[] Body) request) => client.Report(request.Key, request.Body);

    private static byte[] Body(UsageBatch batch) => Encoding.UTF8.GetBytes($"[{string.Join(',', batch.Events.Select(UsageWorld.Json))}]");

    // What it is measured against.

    private async Task Copy(UsageBatch batch)
    {
        await using var connection = await owner.OpenConnectionAsync();
        await using var copy = await connection.BeginBinaryImportAsync("copy bench.bare from stdin (format binary)");
        foreach (var it in batch.Events)
        {
            await copy.StartRowAsync();
            await copy.WriteAsync(batch.Tenant);
            await copy.WriteAsync(it.Id);
            await copy.WriteAsync(it.Time.ToDateTimeUtc());
            await copy.WriteAsync(Bare(it), NpgsqlDbType.Jsonb);
        }

        await copy.CompleteAsync();
    }

    internal static byte[] Bare(UsageEvent it) => JsonSerializer.SerializeToUtf8Bytes(new BareEvent(it.Source, it.Type, it.Subject, it.Data));

    internal sealed record BareEvent(string Source, string Type, string? Subject, IReadOnlyDictionary<string, string> Data);

    private async Task PrintSettings(int repeats, int preload)
    {
        await using var ask = owner.CreateCommand(
            "select current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')");
        Console.WriteLine(
            $"PostgreSQL with fsync {await ask.ExecuteScalarAsync()}; {Environment.ProcessorCount} processors; {preload:N0} events "
            + $"preloaded; event JSON of {UsageWorld.Json(new UsageWorld().Batches(1, 1)[0].Events[0]).Length} bytes; {repeats} samples");
    }

    private static async Task Execute(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync();
    }

    private static ServiceProvider Services(TestDatabase database) =>
        new ServiceCollection()
            .AddEventStore(
                new(BillingDatabase.Schema, database.As(BillingDatabase.ApplicationRole), database.As(BillingDatabase.SystemRole)),
                Stored.Events, Stored.MessageTypes)
            .AddSingleton<UsageIntake>()
            .BuildServiceProvider();
}

/// <summary>One prepared INSERT and commit per event, on connections that stay open.</summary>
internal sealed class Inserters : IAsyncDisposable
{
    private readonly List<NpgsqlCommand> commands = [];

    public static async Task<Inserters> Open(NpgsqlDataSource owner, int connections)
    {
        var inserters = new Inserters();
        for (var i = 0; i < connections; i++)
        {
            var insert = new NpgsqlCommand(
                "insert into bench.bare (tenant, id, time, event) values ($1, $2, $3, $4)", await owner.OpenConnectionAsync());
            insert.Parameters.AddRange(new NpgsqlParameter[]
            {
                new NpgsqlParameter<Guid>(), new NpgsqlParameter<string> { TypedValue = "" },
                new NpgsqlParameter<DateTime> { TypedValue = DateTime.UnixEpoch },
                new NpgsqlParameter<byte[]> { TypedValue = [], NpgsqlDbType = NpgsqlDbType.Jsonb },
            });
            inserters.commands.Add(insert);
            await insert.PrepareAsync();
        }

        return inserters;
    }

    public async Task Insert(int connection, UsageBatch one)
    {
        var (insert, it) = (commands[connection], one.Events[0]);
        ((NpgsqlParameter<Guid>)insert.Parameters[0]).TypedValue = one.Tenant;
        ((NpgsqlParameter<string>)insert.Parameters[1]).TypedValue = it.Id;
        ((NpgsqlParameter<DateTime>)insert.Parameters[2]).TypedValue = it.Time.ToDateTimeUtc();
        ((NpgsqlParameter<byte[]>)insert.Parameters[3]).TypedValue = UsageBenchmark.Bare(it);
        await insert.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var command in commands)
        {
            var connection = command.Connection!;
            await command.DisposeAsync();
            await connection.DisposeAsync();
        }
    }
}
