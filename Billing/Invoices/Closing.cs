using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Entitlements;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>What a close works with.</summary>
public sealed class InvoiceParts(
    Documents documents, ComposeInvoice compose, BilledPlans plans, RollUpUsage rollUp, UsageLimits limits, TimeProvider clock)
{
    public Documents Documents => documents;
    public ComposeInvoice Compose => compose;
    public BilledPlans Plans => plans;
    public RollUpUsage RollUp => rollUp;
    public UsageLimits Limits => limits;
    public Instant Now => clock.Now();
}

/// <summary>
/// One tenant's close of periods that end at one instant, step by step, so that the steps of several tenants share round trips:
/// <see cref="Ask"/>, <see cref="Decide"/>, <see cref="Compose"/>, <see cref="Bind"/>, <see cref="Appends"/>,
/// <see cref="RecordEntitlements"/>. What it asks beside them is narrowed to the tenant.
/// </summary>
/// <param name="Ids">The subscriptions whose periods end.</param>
/// <param name="RequestId">Who asks to end the period now.</param>
/// <param name="Threshold">Ends it only if its use has come to that.</param>
internal sealed record Closing(
    InvoiceParts Parts, LaneTransaction Lane, EventTransaction Transaction, IReadOnlyList<SubscriptionId> Ids, Instant AsOf,
    Guid? RequestId, Money? Threshold)
{
    private sealed record Ending(
        SubscriptionId Id, Subscription Subscription, long Version, ClosePeriod.Command Command, IReadOnlyList<SubscriptionEvent> Events);

    private sealed record Made(
        InvoiceContent Content, Invoice Draft, IReadOnlyList<InvoiceEvent> Drafted,
        IReadOnlyList<CreditPart> CreditParts, PaymentTerms Terms,
        IReadOnlyList<(Discount Discount, Answer<Loaded<CouponRedemption>> Redemption)> Redemptions);

    private sealed record Asked(
        Answer<IReadOnlyList<UsageWatermark>> Marks, Answer<InvoiceTerms.Records> Terms, Answer<Loaded<Tenant>> Tenant,
        Answer<Loaded<Wallet>> Wallet, IReadOnlyList<(SubscriptionId Id, Answer<Loaded<Subscription>> Loaded)> Subscriptions);

    private sealed record Ended(IReadOnlyList<Ending> Endings, ComposeInvoice.Asked Asked);

    private readonly InvoiceId invoiceId = InvoiceId.New();
    private readonly List<StreamAppend> appends = [];
    private readonly List<SubscriptionEvent> follow = [];
    private Asked? asked;
    private Ended? ended;
    private Made? made;
    private Func<IReadOnlyList<InvoicedUsage.CountedHour>>? countedHours;
    private UsageTreeHead? tree;
    private Instant at;

    public TenantId Tenant { get; } = new(Transaction.TenantId);

    /// <summary>What came of it; known once it is composed.</summary>
    public InvoicePeriod.Outcome Outcome { get; private set; } = new(InvoiceId: null, Refusal: null);

    /// <summary>Of the invoice's number.</summary>
    public int Year => at.InUtc().Year;

    /// <summary>Whether there is an invoice, which then needs a number of the <see cref="Year"/>; known once it is composed.</summary>
    public bool MakesInvoice => made is not null;

    /// <summary>The invoice's.</summary>
    public string? Number { get; set; }

    /// <summary>Reads what does not depend on anything.</summary>
    public void Ask(RoundTrip together)
    {
        asked = new(
            UsageWatermark.Of(together, Tenant), InvoiceTerms.OfTenant(together, Tenant),
            Transaction.Load<Tenant, TenantEvent>(Tenants.Tenant.Stream(Tenant), together),
            Transaction.Load<Wallet, WalletEvent>(Wallet.Stream(Tenant), together),
            [.. Ids.Select(id => (id, Transaction.Load<Subscription, SubscriptionEvent>(Subscription.Stream(Tenant, id), together)))]);
    }

    /// <summary>Decides where the periods end, and asks what their invoice is composed of.</summary>
    public async Task Decide(RoundTrip together, CancellationToken cancellation)
    {
        var marks = asked!.Marks.Value;
        var newest = UsageWatermark.NewestOf(marks);
        at = asked.Tenant.Value.State.Clock ?? Parts.Now;
        var endings = new List<Ending>();
        foreach (var (id, loaded) in asked.Subscriptions)
        {
            var (subscription, version) = loaded.Value;
            // What was seen stays seen, also where retention has taken it since.
            var command = new ClosePeriod.Command(
                AsOf, RequestId, invoiceId, Math.Max(subscription.UsageThrough, newest), Parts.Limits.AgeMax, at,
                EndsNow: Threshold is not null);
            var decision = ClosePeriod.Decide(command, subscription);
            if (decision.Refusal is not null)
            {
                Outcome = new(InvoiceId: null, decision.Refusal);
                return;
            }

            if (decision.Events is not [PeriodClosed, ..])
            {
                Outcome = new(Threshold is null ? subscription.LastClosed?.InvoiceId : null, Refusal: null);
                return;
            }

            endings.Add(new(id, subscription, version, command, decision.Events));
        }

        // The oldest subscription stands first on the invoice.
        endings = [.. endings.OrderBy(ending => ending.Subscription.Plans[0].Start).ThenBy(ending => ending.Id.Value)];

        // It is composed from roll-ups that know all of the ledger.
        var beside = Beside();
        foreach (var ending in endings)
        {
            var billed = await Parts.Plans.Of(Tenant, ending.Subscription, cancellation);
            await Parts.RollUp.CatchUp(
                beside, Tenant, marks, [.. billed.SelectMany(plan => plan.Meters).Select(meter => meter.Definition)], cancellation);
        }

        ended = new(
            endings,
            await Parts.Compose.Ask(
                together, Tenant, [.. endings.Select(Period)], endings.Max(ending => ending.Command.UsageThrough), cancellation));
    }

    /// <summary>Composes the invoice, and asks what proves the events that it counts.</summary>
    /// <param name="together">Takes what is asked for the next step.</param>
    public async Task Compose(RoundTrip together, CancellationToken cancellation)
    {
        if (ended is null)
            return;

        // 1 compose it
        var (endings, payer) = (ended.Endings, asked!.Tenant.Value.State);
        var content = await Parts.Compose.Compose(
            Beside(), ended.Asked, await InvoiceTerms.KnownAt(at, asked.Terms.Value, Parts.Documents, cancellation), cancellation);

        // Another runner has invoiced what had come to the threshold.
        if (Threshold is { } bound && !InvoiceAtThreshold.IsReached(bound, content?.Lines ?? []))
            return;

        // 2 where nothing came late, say so and make no invoice of it
        foreach (var ending in endings)
        {
            var events = ending.Events;
            if (content?.Periods.Any(it => it.SubscriptionId == ending.Id) != true)
            {
                var nothing = ClosePeriod.NothingLate(ending.Command, ending.Subscription);
                if (nothing.Refusal is not null)
                {
                    appends.Clear();
                    Outcome = new(InvoiceId: null, nothing.Refusal);
                    return;
                }

                events = nothing.Events;
            }

            appends.Add(new(Subscription.Stream(Tenant, ending.Id), ending.Version, events));
            follow.AddRange(events);
        }

        Outcome = new(content is null ? null : invoiceId, Refusal: null, NextEnd(follow));
        if (content is null)
            return;

        // 3 bind the events that it counts, so that each can be proved
        await SealUsage.CatchUp(
            Beside(), Tenant, asked.Marks.Value, content.Usage.Types.Select(it => it.Type).ToHashSet(StringComparer.Ordinal), cancellation);
        countedHours = content.Usage.CountedHours(together, Tenant);

        // 4 let credit pay what it can, or take in what is owed to the tenant
        var draft = DraftInvoice.Decide(new(invoiceId, Tenant, content, at, Threshold is not null), Invoice.Initial);
        var invoice = Fold.After(Invoice.Initial, draft.Events);

        var (wallet, walletVersion) = asked.Wallet.Value;
        var settled = SettleInvoice.Decide(new(invoiceId, invoice.Total, at), wallet);
        if (settled.Events.Count > 0)
            appends.Add(new(Wallet.Stream(Tenant), walletVersion, settled.Events));

        made = new(
            content, invoice, draft.Events, [.. settled.Events.OfType<CreditConsumed>().SelectMany(it => it.Parts)],
            PaymentTerms.Of(payer.Settings, payer.TimeZone, at),
            [
                .. content.Discounts.Select(discount => (discount, Transaction.Load<CouponRedemption, CouponRedemptionEvent>(
                    CouponRedemption.Stream(Tenant, discount.Coupon.RedemptionId), together))),
            ]);
    }

    /// <summary>Makes the tree over the events that it counts.</summary>
    /// <param name="together">Takes what is written beside the events; not sent here.</param>
    public async Task Bind(RoundTrip together, CancellationToken cancellation)
    {
        if (made is null)
            return;

        var bound = await UsageTree.OfSeals(Beside(), Tenant, made.Content.Usage, countedHours!(), cancellation);
        bound.Record(together, Tenant, invoiceId);
        tree = bound.Head;
    }

    /// <summary>What is to be recorded, and the message that tells of it.</summary>
    public (EventTransaction Tenant, IReadOnlyList<StreamAppend> Appends) Appends()
    {
        if (made is null)
            return (Transaction, appends);

        foreach (var (discount, redemption) in made.Redemptions)
        {
            appends.Add(new(
                CouponRedemption.Stream(Tenant, discount.Coupon.RedemptionId), redemption.Value.Version,
                [new RedemptionApplied(invoiceId, made.Content.CalendarEnd, discount.Amount, at)]));
        }

        var final = FinalizeInvoice.Decide(new(Number!, tree!, made.Terms, made.CreditParts, at), made.Draft);
        appends.Add(new(Invoice.Stream(Tenant, invoiceId), ExpectedVersion: 0, [.. made.Drafted, .. final.Events]));
        Transaction.Publish(new Messages.InvoiceFinalized(
            invoiceId, Tenant, [.. made.Content.Periods.Select(it => it.SubscriptionId)], Number!,
            Fold.After(made.Draft, final.Events).Total, made.Content.Period.Start, made.Content.Period.End, at));
        return (Transaction, appends);
    }

    /// <summary>A period that ends may take with it what a plan granted.</summary>
    public Task RecordEntitlements(CancellationToken cancellation) =>
        Entitlements.RecordEntitlements.After(follow, Transaction, Parts.Documents, at, cancellation);

    // What is asked here is of this tenant alone.
    private RoundTrip Beside()
    {
        var beside = new RoundTrip(Transaction.Connection);
        Lane.Narrow(beside, Transaction);
        return beside;
    }

    private static Instant? NextEnd(IEnumerable<SubscriptionEvent> events) => events.Min(it => it switch
    {
        PeriodClosed closed => closed.NextEnd,
        NothingLate nothing => nothing.NextEnd,
        _ => (Instant?)null,
    });

    private static EndingPeriod Period(Ending ending)
    {
        var closed = (PeriodClosed)ending.Events[0];
        return new(ending.Id, ending.Subscription, new(closed.Start, closed.End));
    }
}
