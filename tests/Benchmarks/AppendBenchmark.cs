using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using NpgsqlTypes;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Benchmarks.Sampling;

namespace Platform.Benchmarks;

/// <summary>
/// <c>append [--seconds 3] [--repeats 5] [--writers 8]</c>: appends, loads and a rebuild beside what PostgreSQL does without an event store
/// in the same run: one prepared INSERT and commit per event at equal connections, one binary COPY, one bare scan with
/// deserialisation. Samples of all kinds take turns, so that a noisy minute hits all of them; shown are medians.
/// Needs PLATFORM_POSTGRES.
/// </summary>
internal static class AppendBenchmark
{
    private const string App = "benchmark_app";
    private const string System = "benchmark_system";
    private const int CopyRows = 100_000;
    private const int FoldEvents = 300_000;

    private static int[] Writers { get; set; } = [1, 8, 32];

    public static async Task Run(string[] options)
    {
        var seconds = Option(options, "--seconds", 3);
        var repeats = (int)Option(options, "--repeats", 5);
        if (Option(options, "--writers", 0) is > 0 and var only)
            Writers = [(int)only];
        await using var database = await TestDatabase.Create(App, System);
        await Migrations.Run(database.Owner, "bench", App, System, typeof(AppendBenchmark).Assembly, CancellationToken.None);
        await using var owner = NpgsqlDataSource.Create(database.Owner);
        await using var services = Services(database);
        var store = services.GetRequiredService<EventStore.EventStore>();
        await PrintSettings(owner, seconds, repeats);

        await Appends(store, owner, seconds, repeats);
        await Reads(store, services.GetRequiredService<Rebuild>(), owner, repeats);
    }

    private static async Task Appends(EventStore.EventStore store, NpgsqlDataSource owner, double seconds, int repeats)
    {
        var rates = new Dictionary<(string What, int Writers), List<double>>();
        void Note(string what, int writers, double rate) =>
            (rates.TryGetValue((what, writers), out var known) ? known : rates[(what, writers)] = []).Add(rate);

        var inserters = Enumerable.Range(0, Writers.Max()).Select(_ => Inserter(owner)).ToList();
        var appenders = new Dictionary<int, List<Func<Task>>>
        {
            [1] = [.. Enumerable.Range(0, Writers.Max()).Select(_ => Appender(store, events: 1))],
            [10] = [.. Enumerable.Range(0, Writers.Max()).Select(_ => Appender(store, events: 10))],
        };
        for (var repeat = -1; repeat < repeats; repeat++)
        {
            // The first round warms connections, plans and the JIT, and does not count.
            var span = TimeSpan.FromSeconds(repeat < 0 ? Math.Min(seconds, 1) : seconds);
            await Execute(owner, "truncate bench.bare");
            var copy = await Copy(owner);
            foreach (var writers in Writers)
            {
                await Execute(owner, "truncate bench.bare, bench.events");
                var insert = await Loop(inserters[..writers], span, eventsPerCall: 1);
                var one = await Loop(appenders[1][..writers], span, eventsPerCall: 1);
                var ten = await Loop(appenders[10][..writers], span, eventsPerCall: 10);
                if (repeat < 0)
                    continue;
                Note("insert", writers, insert);
                Note("append 1", writers, one);
                Note("append 10", writers, ten);
            }
            if (repeat >= 0)
                Note("copy", 1, copy);
        }

        var copyRate = Median(rates[("copy", 1)]);
        Console.WriteLine($"{"events/s, median",-34}{"writers",8}{"events/s",12}{"of INSERT",11}{"of COPY",9}");
        Console.WriteLine($"{$"binary COPY of {CopyRows:N0} rows",-34}{1,8}{copyRate,12:N0}{"",11}{1.0,9:0.00}");
        foreach (var (what, writers) in from what in (string[])["insert", "append 1", "append 10"] from writers in Writers select (what, writers))
        {
            var rate = Median(rates[(what, writers)]);
            var label = what == "insert" ? "prepared INSERT and commit" : $"{what} event(s) per call, new stream";
            Console.WriteLine($"{label,-34}{writers,8}{rate,12:N0}{rate / Median(rates[("insert", writers)]),11:0.00}{rate / copyRate,9:0.00}");
        }
    }

    private static async Task Reads(EventStore.EventStore store, Rebuild rebuild, NpgsqlDataSource owner, int repeats)
    {
        Console.WriteLine();
        Console.WriteLine($"{"events/s, median",-46}{"events/s",12}{"of bare scan",14}");
        foreach (var length in (int[])[100, 1_000])
        {
            await Execute(owner, "truncate bench.events");
            var streams = Enumerable.Range(0, FoldEvents / length)
                .Select(_ => new StreamId(Guid.CreateVersion7(), "meter", Guid.CreateVersion7())).ToList();
            await Parallel.ForEachAsync(streams, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (stream, cancellation) =>
                await store.Append(new Write(stream.TenantId, Cause.Unknown).Append(stream, 0, Events(length)), cancellation));
            await Execute(owner, "analyze bench.events");

            var (scans, loads, shared, rebuilds) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
            for (var repeat = -1; repeat < repeats; repeat++)
            {
                var scan = await Rate(() => Scan(owner));
                var load = await Rate(() => Load(store, streams, readers: 1));
                var share = await Rate(() => Load(store, streams, readers: 8));
                var refold = await Rate(() => rebuild.Run("meters", CancellationToken.None));
                if (repeat < 0)
                    continue;
                scans.Add(scan);
                loads.Add(load);
                shared.Add(share);
                rebuilds.Add(refold);
            }
            foreach (var (what, sample) in new[] { ("bare scan and deserialise", scans), ("load and fold, 1 reader", loads), ("load and fold, 8 readers", shared), ("rebuild a projection", rebuilds) })
                Console.WriteLine($"{$"{what}, streams of {length:N0}",-46}{Median(sample),12:N0}{Median(sample) / Median(scans),14:0.00}");
        }
    }

    // What is measured.

    private static Func<Task> Appender(EventStore.EventStore store, int events)
    {
        var tenant = Guid.CreateVersion7();
        return () =>
        {
            var stream = new StreamId(tenant, "meter", Guid.CreateVersion7());
            return store.Append(new Write(tenant, Cause.Unknown).Append(stream, 0, Events(events)), CancellationToken.None);
        };
    }

    private static async Task<long> Load(EventStore.EventStore store, List<StreamId> streams, int readers)
    {
        var events = 0L;
        await Parallel.ForEachAsync(
            streams, new ParallelOptions { MaxDegreeOfParallelism = readers },
            async (stream, cancellation) => Interlocked.Add(ref events, (await store.Load<Meter, MeterEvent>(stream, cancellation)).Version));
        return events;
    }

    // What it is measured against: the same rows and the same JSON, without an event store.

    private static Func<Task> Inserter(NpgsqlDataSource owner)
    {
        var connection = owner.OpenConnection();
        var insert = new NpgsqlCommand(
            "insert into bench.bare (tenant_id, stream_id, version, number, recorded_at, lane, write_id, stream_type, type, data) "
            + "values ($1, $2, $3, $4, now(), $5, $6, $7, $8, $9)", connection);
        var (tenant, stream, number, write) =
            (Typed(Guid.CreateVersion7()), Typed(Guid.Empty), Typed(0L), Typed(Guid.Empty));
        var data = new NpgsqlParameter<byte[]> { NpgsqlDbType = NpgsqlDbType.Jsonb };
        insert.Parameters.AddRange(
            new NpgsqlParameter[] { tenant, stream, Typed(1L), number, Typed((short)1), write, Typed("meter"), Typed("meter.read.v1"), data });
        data.TypedValue = [(byte)'0'];
        insert.Prepare();
        return async () =>
        {
            stream.TypedValue = write.TypedValue = Guid.CreateVersion7();
            number.TypedValue++;
            data.TypedValue = JsonSerializer.SerializeToUtf8Bytes(Reading(1), BenchmarkJson.Default.Read);
            await insert.ExecuteNonQueryAsync();
        };
    }

    private static async Task<double> Copy(NpgsqlDataSource owner)
    {
        await using var connection = await owner.OpenConnectionAsync();
        var started = Stopwatch.GetTimestamp();
        await using (var copy = await connection.BeginBinaryImportAsync(
            "copy bench.bare (tenant_id, stream_id, version, number, recorded_at, lane, write_id, stream_type, type, data) "
            + "from stdin (format binary)"))
        {
            var tenant = Guid.CreateVersion7();
            for (var row = 0; row < CopyRows; row++)
            {
                await copy.StartRowAsync();
                await copy.WriteAsync(tenant);
                await copy.WriteAsync(Guid.CreateVersion7());
                await copy.WriteAsync(1L);
                await copy.WriteAsync((long)row);
                await copy.WriteAsync(DateTime.UnixEpoch);
                await copy.WriteAsync((short)1);
                await copy.WriteAsync(tenant);
                await copy.WriteAsync("meter");
                await copy.WriteAsync("meter.read.v1");
                await copy.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(Reading(row), BenchmarkJson.Default.Read), NpgsqlDbType.Jsonb);
            }
            await copy.CompleteAsync();
        }
        return CopyRows / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<long> Scan(NpgsqlDataSource owner)
    {
        var events = 0L;
        await using var scan = owner.CreateCommand("select type, data from bench.events");
        await using var reader = await scan.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            if (reader.GetString(0) == "meter.read.v1"
                && JsonSerializer.Deserialize(reader.GetFieldValue<byte[]>(1), BenchmarkJson.Default.Read) is not null)
            {
                events++;
            }
        }
        return events;
    }

    // How it is measured.

    /// <summary>Events per second of so many writers, each calling again as soon as its last call was answered.</summary>
    private static async Task<double> Loop(List<Func<Task>> writers, TimeSpan span, int eventsPerCall)
    {
        var started = Stopwatch.GetTimestamp();
        var counts = await Task.WhenAll(writers.Select(call => Task.Run(async () =>
        {
            var count = 0L;
            for (; Stopwatch.GetElapsedTime(started) < span; count++)
                await call();
            return count;
        })));
        return counts.Sum() * eventsPerCall / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<double> Rate(Func<Task<long>> work)
    {
        var started = Stopwatch.GetTimestamp();
        var events = await work();
        return events / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static NpgsqlParameter<T> Typed<T>(T value) => new() { TypedValue = value };

    private static async Task PrintSettings(NpgsqlDataSource owner, double seconds, int repeats)
    {
        await using var ask = owner.CreateCommand(
            "select current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')");
        Console.WriteLine(
            $"PostgreSQL with fsync {await ask.ExecuteScalarAsync()}; {Environment.ProcessorCount} processors; "
            + $"event JSON of {JsonSerializer.SerializeToUtf8Bytes(Reading(1), BenchmarkJson.Default.Read).Length} bytes; "
            + $"{repeats} samples of {seconds} s");
        Console.WriteLine();
    }

    private static async Task Execute(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private static ServiceProvider Services(TestDatabase database) =>
        new ServiceCollection()
            .AddEventStore(
                new("bench", database.As(App), database.As(System)),
                new EventTypes(BenchmarkJson.Default.Options, typeof(MeterEvent)),
                new MessageTypes(BenchmarkJson.Default.Options))
            .AddSingleton<Projection>(new MeterViews())
            .BuildServiceProvider();

    private static object[] Events(int count) => [.. Enumerable.Range(0, count).Select(Reading)];

    private static Read Reading(int number) =>
        new(number * 1_000L, $"{number}.250", "0.125000", "gpu.h200", $"job-{number:000000000000}", "worker-17", "measured", $"note {number:000000}");
}

[JsonDerivedType(typeof(Read), "meter.read.v1")]
internal abstract record MeterEvent;

/// <summary>An event of about 200 bytes of JSON.</summary>
internal sealed record Read(
    long Milliseconds, string EnergyJoules, string GpuHours, string Flavor, string JobId, string WorkerId, string Source, string Note)
    : MeterEvent;

internal sealed record Meter(long Milliseconds, long Readings) : IEvolve<Meter, MeterEvent>
{
    public static Meter Initial => new(0, 0);

    public static Meter Evolve(Meter state, MeterEvent @event) =>
        new(state.Milliseconds + ((Read)@event).Milliseconds, state.Readings + 1);
}

internal sealed class MeterViews : DocumentProjection<Meter, MeterEvent>
{
    public override string Name => "meters";
    public override ProjectionLifecycle Lifecycle => ProjectionLifecycle.Async;
    protected override string Table => "meters";
    protected override JsonTypeInfo<Meter> Json => BenchmarkJson.Default.Meter;

    protected override Meter Fold(Meter? view, MeterEvent @event, RecordedEvent recorded) =>
        Meter.Evolve(view ?? Meter.Initial, @event);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, AllowOutOfOrderMetadataProperties = true)]
[JsonSerializable(typeof(MeterEvent))]
[JsonSerializable(typeof(Meter))]
internal sealed partial class BenchmarkJson : JsonSerializerContext;
