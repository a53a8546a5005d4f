using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>Corrections of closed periods, over months; the clock moves, so this class has a host of its own.</summary>
public sealed class UsageAdjustmentSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task A_correction_of_a_closed_period_is_a_line_of_the_next_invoice_for_the_difference()
    {
        var (tenant, subscription) = await New();
        var time = Past(1);
        await tenant.Partner.Post("/v1/usage/events", new[] { Call("1", 5, time), Call("2", 8, time), Call("3", 100, time) });
        Calls(await Close(tenant, subscription)).ShouldBe([("usage", "113", "5.65")]);

        await Correct(tenant.Admin, "void", "1");
        await Correct(tenant.Admin, "amend", "2", new { calls = "10" });
        await Correct(tenant.Admin, "amend", "2", new { calls = "9" });
        // Late and voided before any invoice knew it: nothing to tell.
        await tenant.Partner.Post("/v1/usage/events", Call("late", 1000, time));
        await Correct(tenant.Admin, "void", "late");

        Calls(await Close(tenant, subscription)).ShouldBe([("usage", "0", "0.00"), ("late_usage", "-4", "-0.20")]);
        Calls(await Close(tenant, subscription)).ShouldBe([("usage", "0", "0.00")], "once");
    }

    [Fact]
    public async Task A_total_is_never_negative_and_the_excess_is_credit_until_it_is_used_up()
    {
        var (tenant, subscription) = await New();
        await tenant.Partner.Post("/v1/usage/events", Call("1", 1000, Past(1)));
        Total(await Close(tenant, subscription)).ShouldBe(51_00, "one day's fee and 1000 calls");

        await Correct(tenant.Admin, "void", "1");
        var second = await Close(tenant, subscription);
        var third = await Close(tenant, subscription);
        await tenant.Partner.Post("/v1/usage/events", Call("2", 2000, Past(1)));
        await Correct(tenant.Admin, "amend", "2", new { calls = "960" });
        var fourth = await Close(tenant, subscription);

        // Each day owes 1.00 of the fee; total, to the wallet, from the wallet, due.
        Settled(second).ShouldBe((0, 49_00, 0, 0));
        Settled(third).ShouldBe((1_00, 0, 1_00, 0));
        Settled(fourth).ShouldBe((49_00, 0, 48_00, 1_00), "1.00 and 48.00, less the credit");
    }

    /// <param name="Id">Few, so that they meet.</param>
    /// <param name="Days">How long ago the usage was.</param>
    public sealed record Step(StepKind Kind, int Id, int Amount, int Days, bool Gpu);

    public enum StepKind
    {
        Send,
        Void,
        Amend,
        Close,
    }

    [Fact]
    public void Any_interleaving_counts_what_a_naive_recomputation_of_the_accepted_set_counts()
    {
        // Sends of few ids with few amounts, times and types are repeats and conflicts often enough.
        var step =
            from kind in Gen.Frequency(
                (10, Gen.Constant(StepKind.Send)), (3, Gen.Constant(StepKind.Void)), (4, Gen.Constant(StepKind.Amend)),
                (2, Gen.Constant(StepKind.Close)))
            from id in Gen.Choose(1, 8)
            from amount in Gen.Choose(0, 3)
            from days in Gen.Elements(0, 0, 20, 45, 70)
            from gpu in Gen.Elements(true, false)
            select new Step(kind, id, amount * 100, days, gpu);
        var seed = (ulong)System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.SendDiagnosticMessage($"FsCheck seed {seed}");
        TestContext.Current.TestOutputHelper?.WriteLine($"FsCheck seed ({seed},1)");

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(12).WithReplay(new Replay(new Rnd(seed, 1), null)),
            Prop.ForAll(step.ListOf(30).ToArbitrary(), steps => Run([.. steps]).GetAwaiter().GetResult()));
    }

    private async Task Run(IReadOnlyList<Step> steps)
    {
        var (tenant, subscription) = await New(daysBefore: 80);
        var catalog = meters!;
        var accepted = new Dictionary<int, (string Content, bool Gpu, Instant Time, decimal? Counted)>();
        var conflicts = new HashSet<(int, string)>();
        var start = billing.Clock.Now;

        foreach (var step in steps)
        {
            var member = step.Gpu ? "milliseconds" : "calls";
            switch (step.Kind)
            {
                case StepKind.Send:
                    {
                        // Times are of the case's start, so that the same step is the same event on another day too.
                        var time = start - Duration.FromDays(step.Days);
                        var content = $"{step.Amount}/{step.Days}/{step.Gpu}";
                        var answer = await tenant.Partner.Post("/v1/usage/events", new[]
                        {
                        new
                        {
                            id = $"{step.Id}",
                            source = "test",
                            type = step.Gpu ? "gpu.time" : "inference.call",
                            time = InstantPattern.ExtendedIso.Format(time),
                            data = new Dictionary<string, string> { [member] = $"{step.Amount}" },
                        },
                    });
                        var known = accepted.TryGetValue(step.Id, out var kept);
                        answer.Json.GetProperty("results")[0].GetProperty("status").GetString()
                            .ShouldBe(!known ? "accepted" : kept.Content == content ? "duplicate" : "conflict");
                        if (!known)
                            accepted[step.Id] = (content, step.Gpu, time, step.Amount);
                        else if (kept.Content != content)
                            conflicts.Add((step.Id, content));
                        break;
                    }

                case StepKind.Void or StepKind.Amend:
                    {
                        var known = accepted.TryGetValue(step.Id, out var kept);
                        var answer = step.Kind == StepKind.Void
                            ? await Correct(tenant.Admin, "void", $"{step.Id}")
                            : await Correct(tenant.Admin, "amend", $"{step.Id}", new Dictionary<string, string>
                            {
                                [kept.Gpu ? "milliseconds" : "calls"] = $"{step.Amount}",
                            });
                        answer.Status.ShouldBe(!known ? 404 : kept.Counted is null ? 409 : 201, answer.Text);
                        if (answer.Status == 201)
                            accepted[step.Id] = kept with { Counted = step.Kind == StepKind.Void ? null : step.Amount };
                        break;
                    }

                default:
                    await Close(tenant, subscription);
                    break;
            }
        }

        // Usage of the moment of a close belongs to the period that begins there.
        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        await Close(tenant, subscription);
        var invoices = (await tenant.Viewer.Get("/v1/invoices?limit=200")).Json.GetProperty("items").EnumerateArray().Reverse().ToList();
        var balance = 0L;
        foreach (var (gpu, meter, price) in new[] { (true, catalog.Gpu, 0.0001m), (false, catalog.Calls, 0.05m) })
        {
            var naive = accepted.Values.Where(it => it.Gpu == gpu).Sum(it => it.Counted ?? 0);
            (await UsageConflictSpecs.Total(tenant, meter)).ShouldBe($"{naive}", meter);

            // The months one by one, too.
            var windows = (await tenant.Viewer.Get($"/v1/usage?meter={meter}&window=month&from=2025-01-01T00:00:00Z&to=2028-01-01T00:00:00Z"))
                .Json.GetProperty("windows").EnumerateArray();
            foreach (var window in windows)
            {
                var (from, to) = (At(window, "start"), At(window, "end"));
                window.GetProperty("quantity").GetString().ShouldBe(
                    $"{accepted.Values.Where(it => it.Gpu == gpu && it.Time >= from && it.Time < to).Sum(it => it.Counted ?? 0)}");
            }

            var lines = invoices.SelectMany(invoice => invoice.GetProperty("lines").EnumerateArray())
                .Where(line => line.GetProperty("meter").GetString() == meter).ToList();
            lines.Sum(line => Number(line.GetProperty("quantity"))).ShouldBe(naive, "all invoices together");
            lines.Sum(line => Number(line.GetProperty("amount").GetProperty("amount"))).ShouldBe(naive * price);
        }

        foreach (var invoice in invoices)
        {
            Total(invoice).ShouldBeGreaterThanOrEqualTo(0);
            var (total, toWallet, applied, due) = Settled(invoice);
            (total - toWallet).ShouldBe(Cents(invoice.GetProperty("subtotal")));
            applied.ShouldBe(Math.Min(total, balance), "all credit that there is and that is needed");
            due.ShouldBe(total - applied);
            balance += toWallet - applied;
        }

        (await billing.Count("usage_conflicts", tenant.Id)).ShouldBe(conflicts.Count);

        static Instant At(JsonElement window, string member) =>
            InstantPattern.ExtendedIso.Parse(window.GetProperty(member).GetString()!).Value;
    }

    private TestCatalog? meters;

    private async Task<(TestTenant Tenant, Guid Subscription)> New(int daysBefore = 1)
    {
        var tenant = await billing.NewTenant();
        meters ??= await billing.NewCatalog();
        // Noon in a month of 31 days, of which each owes 1.00 of the fee.
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var start = billing.Clock.Now - Duration.FromDays(daysBefore);
        return (tenant, await BillingHost.Subscribe(tenant, meters, InstantPattern.ExtendedIso.Format(start)));
    }

    private string Past(int hours) => InstantPattern.ExtendedIso.Format(billing.Clock.Now - Duration.FromHours(hours));

    /// <summary>Closes the running period now, and all before it; a day later the next one can be closed.</summary>
    private async Task<JsonElement> Close(TestTenant tenant, Guid subscription)
    {
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        return closed.Json;
    }

    private static (long Total, long ToWallet, long Applied, long Due) Settled(JsonElement invoice) => (
        Total(invoice), Cents(invoice.GetProperty("to_wallet")), Cents(invoice.GetProperty("credit_applied")),
        Cents(invoice.GetProperty("amount_due")));

    private static long Total(JsonElement invoice) => Cents(invoice.GetProperty("total"));

    private static long Cents(JsonElement money) => (long)(Number(money.GetProperty("amount")) * 100);

    private static decimal Number(JsonElement text) =>
        decimal.Parse(text.GetString()!, System.Globalization.NumberStyles.Number, System.Globalization.CultureInfo.InvariantCulture);
}
