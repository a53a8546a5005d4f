using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.Contracts.Verification;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;
using UsageSealer = Platform.Billing.Usage.UsageSealer;

namespace Platform.Billing.Tests.Invoices;

/// <summary>What a tenant needs to verify its invoice offline; the clock moves, so this class has a host of its own.</summary>
public sealed class UsageProofSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly Instant noon = Instant.FromUtc(2026, 3, 10, 12, 0);

    [Fact]
    public async Task An_invoice_proves_what_it_counts_and_nothing_else()
    {
        var (tenant, subscription) = await New();
        var (stranger, strangers) = await New();
        var hour = Duration.FromHours(1);
        ReportedUsage[] events =
        [
            Call("counted", 1, noon - hour), Call("voided", 2, noon - hour), Call("later", 3, noon + hour / 20),
            Call("before", 4, noon - Duration.FromDays(3)), Call("other", 5, noon - hour) with { Type = catalog!.RequestType },
        ];
        (await Send(tenant, events)).Json.GetProperty("accepted").GetInt32().ShouldBe(5);
        await Send(stranger, Call("strange", 1, noon - hour));
        await Correct(tenant.Admin, "void", "voided");
        var invoice = await Close(tenant, subscription);

        Size(invoice).ShouldBe(2);
        await Proved(tenant, invoice, events[0]);
        (await Proved(tenant, invoice, events[1])).Corrections.ShouldHaveSingleItem().After.ShouldBeNull();
        foreach (var uncounted in new[] { "later", "before", "other", "strange", "unknown" })
            await Refused(Proof(tenant, invoice, uncounted), 404, "usage_event.not_found");

        // A tenant sees only its own.
        var foreign = await Close(stranger, strangers);
        await Proved(stranger, foreign, Call("strange", 1, noon - hour));
        await Refused(Proof(stranger, invoice, "counted"), 404, "invoice.not_found");
        await Refused(Proof(tenant, foreign, "strange"), 404, "invoice.not_found");

        (await Proof(tenant, invoice, "")).Fields.ShouldBe(["event_id"]);
        (await Proof(tenant, invoice, "%00")).Fields.ShouldBe(["event_id"]);
        (await tenant.Viewer.Get($"/v1/invoices/{Id(invoice)}/usage-proof")).Fields.ShouldBe(["source", "event_id"], ignoreOrder: true);
    }

    [Fact]
    public async Task Late_events_and_corrections_of_what_was_billed_are_proved_by_the_invoice_that_bills_them()
    {
        var (tenant, subscription) = await New();
        var (known, late) = (Call("known", 5, noon - Duration.FromHours(1)), Call("late", 3, noon - Duration.FromHours(2)));
        await Send(tenant, known);
        await Correct(tenant.Admin, "amend", "known", new { calls = "6" });
        var first = await Close(tenant, subscription);
        await Send(tenant, late);
        await Correct(tenant.Admin, "void", "known");
        var second = await Close(tenant, subscription);
        var third = await Close(tenant, subscription);

        var before = await Proved(tenant, first, known);
        before.BilledBefore.ShouldBeFalse();
        before.Corrections.ShouldHaveSingleItem().After!["calls"].ShouldBe("6", "what was voided later was billed here");
        (await Proved(tenant, second, late)).BilledBefore.ShouldBeFalse();
        var after = await Proved(tenant, second, known);
        after.BilledBefore.ShouldBeTrue();
        after.Corrections.ShouldHaveSingleItem().Before["calls"].ShouldBe("6", "only what was said since");
        Size(second).ShouldBe(2);

        Size(third).ShouldBe(0);
        Root(third).ShouldBe(Convert.ToHexStringLower(UsagePart.Root(0, 0, MerkleTree.Root([]))));
        await Refused(Proof(tenant, first, "late"), 404, "usage_event.not_found");
        await Refused(Proof(tenant, third, "known"), 404, "usage_event.not_found");
    }

    [Fact]
    public async Task An_invoice_of_many_events_proves_each_by_a_short_path()
    {
        var (tenant, subscription) = await New();
        var events = Enumerable.Range(0, 5000).Select(number => Call($"{number}", 1, noon - Duration.FromSeconds(number + 1))).ToArray();
        (await Send(tenant, events)).Json.GetProperty("accepted").GetInt32().ShouldBe(5000);
        // Two rows of one event at the end of a part do not move the next one.
        await Correct(tenant.Admin, "amend", "1023", new { calls = "2" });
        await Correct(tenant.Admin, "amend", "1023", new { calls = "3" });
        var invoice = await Close(tenant, subscription);

        Size(invoice).ShouldBe(5000);
        // The first 3,600 are of the hour before noon, the others of the hour before that, which has two parts.
        foreach (var number in new[] { 0, 1, 1022, 1023, 1024, 2047, 2048, 3333, 3599, 3600, 4095, 4096, 4623, 4624, 4999 })
        {
            var proof = await Proved(tenant, invoice, events[number]);
            var (before, place) = number < 3600 ? (2, number) : (0, number - 3600);
            (proof.PartIndex, proof.Index).ShouldBe((before + place / 1024, place % 1024), "in the order of the ledger");
            proof.PartCount.ShouldBe(6);
            proof.AuditPath.Count.ShouldBeLessThanOrEqualTo(10);
        }
    }

    public enum StepKind
    {
        Send,
        Void,
        Amend,
        Close,
    }

    /// <param name="Id">Few, so that corrections find their events.</param>
    /// <param name="Days">How long ago the usage was.</param>
    public sealed record Step(StepKind Kind, int Id, int Days, bool Read);

    [Fact]
    public void Every_event_of_any_ledger_is_proved_by_the_invoices_that_count_it_and_by_no_other()
    {
        var step =
            from kind in Gen.Frequency(
                (10, Gen.Constant(StepKind.Send)), (3, Gen.Constant(StepKind.Void)), (4, Gen.Constant(StepKind.Amend)),
                (3, Gen.Constant(StepKind.Close)))
            from id in Gen.Choose(1, 10)
            from days in Gen.Elements(0, 0, 20, 45, 70, 90)
            from read in Gen.Elements(true, true, true, false)
            select new Step(kind, id, days, read);
        var seed = (ulong)System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"FsCheck seed ({seed},1)");

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(10).WithReplay(new Replay(new Rnd(seed, 1), null)),
            Prop.ForAll(step.ListOf(30).ToArbitrary(), steps => Run([.. steps]).GetAwaiter().GetResult()));
    }

    // The model: what was said in which order, and between which of these each invoice lies.
    private sealed record Said(int Place, ReportedUsage Event, bool Counts, List<int> Corrections);

    private sealed record Invoiced(JsonElement Json, int After, int Through);

    private async Task Run(IReadOnlyList<Step> steps)
    {
        var (tenant, subscription) = await New(daysBefore: 80);
        // Periods end within an hour, of which some events lie before the end.
        billing.Clock.Set(noon + Duration.FromMinutes(20));
        var (since, start) = (noon - Duration.FromDays(80), billing.Clock.Now);
        var (ledger, invoices, place) = (new Dictionary<int, Said>(), new List<Invoiced>(), 0);
        foreach (var step in steps.Append(new(StepKind.Close, Id: 0, Days: 0, Read: false)))
        {
            // What is bound while the period runs grows from there.
            if (step.Id % 2 == 0)
                await billing.Services.GetRequiredService<UsageSealer>().SealAll(BillingHost.Cancellation);
            switch (step.Kind)
            {
                case StepKind.Send:
                    var call = Call($"{step.Id}", step.Days, start - Duration.FromDays(step.Days) - Duration.FromMinutes(7 * step.Id));
                    var it = step.Read ? call : call with { Type = catalog!.RequestType };
                    var answer = await Send(tenant, it);
                    if (answer.Json.GetProperty("accepted").GetInt32() == 1)
                        ledger[step.Id] = new(++place, it, step.Read, []);
                    break;
                case StepKind.Void or StepKind.Amend:
                    var corrected = step.Kind == StepKind.Void
                        ? await Correct(tenant.Admin, "void", $"{step.Id}")
                        : await Correct(tenant.Admin, "amend", $"{step.Id}", new { calls = "1" });
                    if (corrected.Status == 201)
                        ledger[step.Id].Corrections.Add(++place);
                    break;
                default:
                    await Close(tenant, subscription);
                    foreach (var made in (await Invoices(tenant)).Skip(invoices.Count))
                        invoices.Add(new(made, After: invoices is [.., var last] ? last.Through : 0, Through: place));
                    break;
            }
        }

        foreach (var invoice in invoices)
        {
            // A replay reads each event again.
            var replay = (await tenant.Viewer.Get($"/v1/invoices/{Id(invoice.Json)}/replay")).Json;
            replay.GetProperty("identical").GetBoolean().ShouldBeTrue(replay.ToString());
            var counted = new List<(int Place, UsageProof Proof)>();
            foreach (var said in ledger.Values)
            {
                if (Expected(said, invoice, since) is not { } expected)
                {
                    await Refused(Proof(tenant, invoice.Json, said.Event.Id), 404, "usage_event.not_found");
                    continue;
                }

                var proof = await Proved(tenant, invoice.Json, said.Event);
                (proof.BilledBefore, proof.Corrections.Count).ShouldBe(expected);
                foreach (var foreign in new[] { said.Event with { Id = "foreign" }, said.Event with { Subject = null } })
                    proof.Verify(foreign, Read(invoice.Json)).ShouldNotBeNull();
                counted.Add((said.Place, proof));
            }

            Size(invoice.Json).ShouldBe(counted.Count);
            var hours = counted.GroupBy(it => it.Proof.Part.Hour).OrderBy(hour => hour.Key).ToList();
            foreach (var (number, hour) in hours.Index())
            {
                hour.ShouldAllBe(it => it.Proof.PartIndex == number && it.Proof.PartCount == hours.Count && it.Proof.Part.Size == hour.Count());
                hour.OrderBy(it => it.Place).Select(it => it.Proof.Index).ShouldBe(Enumerable.Range(0, hour.Count()).Select(index => (long)index));
            }
        }
    }

    // Null where the invoice does not count the event; else whether an earlier one does, and how many corrections this one counts.
    private static (bool BilledBefore, int Corrections)? Expected(Said said, Invoiced invoice, Instant began)
    {
        var (from, to) = (Period(invoice, "start"), Period(invoice, "end"));
        var corrections = said.Corrections.Count(place => place <= invoice.Through);
        var since = said.Corrections.Count(place => place > invoice.After && place <= invoice.Through);
        return said switch
        {
            { Counts: false } => null,
            _ when said.Event.Time < began || said.Event.Time >= to || said.Place > invoice.Through => null,
            _ when said.Event.Time >= from || said.Place > invoice.After => (false, corrections),
            _ => since > 0 ? (true, since) : null,
        };

        static Instant Period(Invoiced invoice, string member) =>
            InstantPattern.ExtendedIso.Parse(invoice.Json.GetProperty("billing_period").GetProperty(member).GetString()!).Value;
    }

    private TestCatalog? catalog;

    private async Task<(TestTenant Tenant, Guid Subscription)> New(int daysBefore = 1)
    {
        billing.Clock.Set(noon);
        var tenant = await billing.NewTenant();
        catalog ??= await billing.NewCatalog();
        var start = noon - Duration.FromDays(daysBefore);
        return (tenant, await BillingHost.Subscribe(tenant, catalog, InstantPattern.ExtendedIso.Format(start)));
    }

    /// <summary>Closes the running period now, and all before it; a day later the next one can be closed.</summary>
    private async Task<JsonElement> Close(TestTenant tenant, Guid subscription)
    {
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        billing.Clock.Set(billing.Clock.Now + Duration.FromDays(1));
        return closed.Json;
    }

    private static async Task<List<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices?limit=200")).Json.GetProperty("items").EnumerateArray().Reverse()];

    internal static ReportedUsage Call(string id, int calls, Instant time) =>
        new("test", id, "inference.call", time, new Dictionary<string, string> { ["calls"] = $"{calls}" }, Subject: "job/1");

    internal static Task<Answer> Send(TestTenant tenant, params ReportedUsage[] events) =>
        tenant.Partner.Post("/v1/usage/events", JsonSerializer.Serialize(events, ContractsJson.Strict));

    internal static Task<Answer> Proof(TestTenant tenant, JsonElement invoice, string id) =>
        tenant.Viewer.Get($"/v1/invoices/{Id(invoice)}/usage-proof?source=test&event_id={id}");

    /// <summary>Asks for the proof and verifies it as the tenant would: with what it reported and the invoice that it has.</summary>
    private static async Task<UsageProof> Proved(TestTenant tenant, JsonElement invoice, ReportedUsage reported)
    {
        var answer = await Proof(tenant, invoice, reported.Id);
        answer.Status.ShouldBe(200, answer.Text);
        var proof = answer.Json.Deserialize<UsageProof>(ContractsJson.Strict)!;
        proof.Verify(reported, Read(invoice)).ShouldBeNull();
        return proof;
    }

    private static async Task Refused(Task<Answer> asked, int status, string code)
    {
        var answer = await asked;
        answer.Status.ShouldBe(status, answer.Text);
        answer.Code.ShouldBe(code);
    }

    private static ProvingInvoice Read(JsonElement invoice) => invoice.Deserialize<ProvingInvoice>(ContractsJson.Strict)!;

    private static string Id(JsonElement invoice) => invoice.GetProperty("invoice_id").GetString()!;

    internal static string Root(JsonElement invoice) => invoice.GetProperty("usage_tree").GetProperty("root").GetString()!;

    private static long Size(JsonElement invoice) => invoice.GetProperty("usage_tree").GetProperty("size").GetInt64();
}
