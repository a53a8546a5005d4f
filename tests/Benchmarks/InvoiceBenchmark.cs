using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NodaTime;
using NodaTime.Extensions;
using Npgsql;
using Platform.Billing;
using Platform.Billing.Recurring;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Benchmarks.Sampling;

namespace Platform.Benchmarks;

/// <summary>
/// <c>invoices [--tenants 10000] [--events 1000000]</c>: one close of a month for all tenants, each with a plan of three charges, by the
/// code that the recurring run calls, durably (fsync on), usage trees and ledger postings included. Shown are invoices per second, the
/// time of each tenant's close, the database's bytes per invoice, and beside it one SQL statement that merely sums the same roll-ups
/// per tenant and meter. Run it with one and with ten million events, which are in as many hours: the cost follows roll-ups. Usage is
/// rolled up and bound before the close begins, as it is all month. Some tenants more are closed before it, which warms connections,
/// plans and the JIT, and does not count. Needs PLATFORM_POSTGRES and PLATFORM_RABBITMQ.
/// </summary>
internal sealed class InvoiceBenchmark(WebApplicationFactory<BillingDatabase> billing, NpgsqlDataSource owner, int tenants, int events)
{
    private const int Setters = 16;
    private const int WarmUpTenants = 1_000;

    // In so many hours of one type each a tenant uses anything, however many events that are: so there are as many roll-ups in each run.
    private const int HoursOfUse = 100;
    private const string OperatorKey = BillingProcess.OperatorKey;
    private static readonly string[] types = ["bench.tokens", "bench.calls", "bench.gpu"];

    // The month before this one: it has ended, and its usage is young enough to be reported.
    private readonly Instant start = FirstOfMonth(-1);
    private readonly Instant end = FirstOfMonth(0);

    public static async Task Run(string[] options)
    {
        var tenants = (int)Option(options, "--tenants", 10_000);
        var events = (int)Option(options, "--events", 1_000_000);

        await using var database = await TestDatabase.Create(BillingDatabase.ApplicationRole, BillingDatabase.SystemRole);
        await using var broker = await TestBroker.Create();
        await using var owner = NpgsqlDataSource.Create(database.Owner);
        Dictionary<string, string> settings = new()
        {
            ["ConnectionStrings:Owner"] = database.Owner,
            ["ConnectionStrings:Application"] = database.As(BillingDatabase.ApplicationRole),
            ["ConnectionStrings:System"] = database.As(BillingDatabase.SystemRole),
            ["Bus:Uri"] = broker.Uri.ToString(),
            ["Bootstrap:OperatorKey"] = OperatorKey,
        };
        string[] migrate = ["migrate", .. settings.Select(setting => $"--{setting.Key}={setting.Value}"), "--Logging:LogLevel:Default=Warning"];
        await Task.Run(() => typeof(BillingDatabase).Assembly.EntryPoint!.Invoke(obj: null, [migrate]));
        await using var billing = new WebApplicationFactory<BillingDatabase>().WithWebHostBuilder(web =>
        {
            foreach (var (key, value) in settings)
                web.UseSetting(key, value);
            web.UseContentRoot(AppContext.BaseDirectory);
            web.ConfigureLogging(logging => logging.ClearProviders());
        });

        var benchmark = new InvoiceBenchmark(billing, owner, tenants, events);
        await benchmark.SetUp();
        await benchmark.Close();
    }

    private async Task SetUp()
    {
        using var http = billing.CreateClient();
        http.DefaultRequestHeaders.Authorization = new("Bearer", OperatorKey);
        foreach (var type in types)
        {
            await Post(http, tenant: null, "/v1/meters", new
            {
                key = type,
                display_name = type,
                event_type = type,
                aggregation = "sum",
                value_property = "units",
                unit = "unit",
            });
        }

        var plan = await Post(http, tenant: null, "/v1/plans", new
        {
            key = "bench",
            display_name = "Benchmark",
            recurring_fee = new { amount = "20.00", currency = "EUR" },
            proration = "days",
            charges = new object[]
            {
                new { model = "per_unit", meter = types[0], display_name = "Tokens", unit_price = "0.0001" },
                new
                {
                    model = "graduated", meter = types[1], display_name = "Calls",
                    tiers = new[] { new { up_to = (string?)"1000", unit_amount = "0.01" }, new { up_to = (string?)null, unit_amount = "0.005" } },
                },
                new { model = "package", meter = types[2], display_name = "GPU", package_size = "100", package_amount = "0.5" },
            },
        });

        var watch = Stopwatch.StartNew();
        var ids = new ConcurrentBag<Guid>();
        await WorkOff([.. Enumerable.Range(0, WarmUpTenants + tenants)], Setters, async (_, _) =>
        {
            var tenant = (await Post(http, tenant: null, "/v1/tenants", new
            {
                name = "Benchmark",
                currency = "EUR",
                time_zone = "Etc/UTC",
                billing_anchor_day = 1,
            })).GetProperty("tenant_id").GetGuid();
            await Post(http, tenant, "/v1/subscriptions", new { plan_id = plan.GetProperty("plan_id").GetGuid(), started_at = start.ToString() });
            ids.Add(tenant);
        });
        Console.WriteLine($"{ids.Count:N0} tenants and subscriptions over HTTP in {watch.Elapsed.TotalSeconds:N0} s");

        watch.Restart();
        var intake = billing.Services.GetRequiredService<UsageIntake>();
        await WorkOff([.. ids], workers: 4, async (_, tenant) => await intake.Take(
            new(tenant, Usage(events / tenants), AttemptId: null, "benchmark"), CancellationToken.None));
        Console.WriteLine($"{ids.Count * (events / tenants):N0} usage events in {watch.Elapsed.TotalSeconds:N0} s");

        watch.Restart();
        while (await Scalar(
            """
            select count(*) from billing.usage_heads head
            left join billing.usage_rollup_marks mark using (tenant_id, type)
            where mark.position is null or mark.position < head.position
            """) > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        }

        Console.WriteLine($"rolled up {watch.Elapsed.TotalSeconds:N0} s later, {await Scalar("select count(*) from billing.usage_rollups"):N0} roll-ups");
        watch.Restart();
        await billing.Services.GetRequiredService<UsageSealer>().SealAll(CancellationToken.None);
        Console.WriteLine($"bound in {watch.Elapsed.TotalSeconds:N0} s, {await Scalar("select count(*) from billing.usage_seals"):N0} parts");
        await using var vacuum = owner.CreateCommand("vacuum analyze");
        vacuum.CommandTimeout = 0;
        await vacuum.ExecuteNonQueryAsync();
    }

    private async Task Close()
    {
        var sums = await Timed(() => Scalar(
            $"""
            select count(*) from (
                select tenant_id, meter_id, sum(quantity) from billing.usage_rollups
                where hour >= '{start}' and hour < '{end}' group by tenant_id, meter_id) sums
            """));
        var closePeriod = billing.Services.GetServices<IDueWork>().First(work => work.Name == "close_period");
        var now = TimeProvider.System.GetCurrentInstant();
        var first = await closePeriod.Due(now, after: null, WarmUpTenants, CancellationToken.None);
        await WorkOff([.. closePeriod.Groups(first.Select(due => due.TenantId))], workers: 8, async (_, group) =>
            await closePeriod.Do(group, now, Cause.Unknown, CancellationToken.None));

        var before = await Scalar("select pg_database_size(current_database())");
        var closing = new TimedWork(closePeriod);
        var run = new RunDueWork([closing], TimeProvider.System, NullLogger<RunDueWork>.Instance);
        var invoices = 0;
        var seconds = await Timed(async () => invoices = await run.Run(now, Cause.Unknown, CancellationToken.None));
        var bytes = await Scalar("select pg_database_size(current_database())") - before;

        Console.WriteLine();
        Console.WriteLine($"{"invoices",-44}{invoices,12:N0}");
        Console.WriteLine($"{"invoices per second",-44}{invoices / seconds,12:N0}");
        Console.WriteLine($"{"an invoice, from begin to commit, p50 / p99 ms",-44}{Percentile(closing.Milliseconds, 0.5),12:N1}{Percentile(closing.Milliseconds, 0.99),9:N1}");
        Console.WriteLine($"{"database bytes per invoice",-44}{(double)bytes / Math.Max(invoices, 1),12:N0}");
        Console.WriteLine($"{"the whole close, s",-44}{seconds,12:N2}");
        Console.WriteLine($"{"one SQL statement that sums the roll-ups, s",-44}{sums,12:N2}{seconds / sums,9:N1} times");
        Console.WriteLine($"{"this process, MiB",-44}{Environment.WorkingSet / 1024 / 1024,12:N0}");
    }

    private IReadOnlyList<UsageEvent> Usage(int count)
    {
        var step = (end - start) / HoursOfUse;
        return
        [
            .. Enumerable.Range(0, count).Select(at => new UsageEvent(
                "gateway", Guid.CreateVersion7().ToString(), types[at % HoursOfUse % types.Length], Subject: null,
                (start + step * (at % HoursOfUse)).ToMicroseconds(),
                new Dictionary<string, string> { ["units"] = (at % 97 + 1).ToString(CultureInfo.InvariantCulture) })),
        ];
    }

    private async Task<long> Scalar(string sql)
    {
        await using var command = owner.CreateCommand(sql);
        command.CommandTimeout = 0;
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static async Task<double> Timed(Func<Task> work)
    {
        var started = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<JsonElement> Post(HttpClient http, Guid? tenant, string path, object body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Add("Idempotency-Key", Guid.CreateVersion7().ToString());
        if (tenant is { } actedFor)
            request.Headers.Add("Platform-Tenant", actedFor.ToString());
        using var answer = await http.SendAsync(request);
        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"{path} answered {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }

    private static Instant FirstOfMonth(int months)
    {
        var today = TimeProvider.System.GetCurrentInstant().InUtc().Date;
        return new LocalDate(today.Year, today.Month, 1).PlusMonths(months).AtStartOfDayInZone(DateTimeZone.Utc).ToInstant();
    }

    /// <summary>Notes how long each tenant took.</summary>
    private sealed class TimedWork(IDueWork work) : IDueWork
    {
        private readonly ConcurrentBag<double> milliseconds = [];

        public string Name => work.Name;

        public List<double> Milliseconds => [.. milliseconds];

        public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
            work.Due(asOf, after, limit, cancellation);

        public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
            work.NextDue(tenant, upTo, cancellation);

        public Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation) =>
            Do([tenant], asOf, cause, cancellation);

        public IEnumerable<IReadOnlyList<TenantId>> Groups(IEnumerable<TenantId> tenants) => work.Groups(tenants);

        // An invoice is there when its group is committed, so that is how long it took.
        public async Task<int> Do(IReadOnlyList<TenantId> group, Instant asOf, Cause cause, CancellationToken cancellation)
        {
            var started = Stopwatch.GetTimestamp();
            var done = await work.Do(group, asOf, cause, cancellation);
            var elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            foreach (var _ in group)
                milliseconds.Add(elapsed);
            return done;
        }
    }
}
