using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Wallets;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Wallets;

public class BurnDownSpecs
{
    // Grants oldest first as name:priority:day of expiry:cents, "-" for none; what is due on the 10th; who pays how much.
    [Theory]
    [InlineData("", 100, "")]
    [InlineData("a:50:-:100", 0, "")]
    [InlineData("a:50:-:100", 40, "a:40")]
    [InlineData("a:50:-:100", 100, "a:100")]
    [InlineData("a:50:-:100", 101, "a:100")]
    [InlineData("a:50:-:0 b:50:-:5", 5, "b:5")]
    // the lower priority first, whatever expires
    [InlineData("a:50:11:100 b:0:-:100", 150, "b:100 a:50")]
    [InlineData("a:100:-:100 b:99:-:100 c:98:-:100", 250, "c:100 b:100 a:50")]
    // then the earlier expiry, none last
    [InlineData("a:50:-:100 b:50:20:100 c:50:15:100", 250, "c:100 b:100 a:50")]
    // then the older
    [InlineData("a:50:20:100 b:50:20:100", 150, "a:100 b:50")]
    [InlineData("a:50:-:100 b:50:-:100", 150, "a:100 b:50")]
    // what has expired pays nothing; it is usable up to its expiry, not in it
    [InlineData("a:50:9:100 b:50:10:100 c:50:11:100", 300, "c:100")]
    [InlineData("a:0:10:100", 1, "")]
    public void Credit_is_used_by_priority_then_expiry_then_age(string grants, long due, string expected)
    {
        var (ids, given) = Parse(grants);

        var parts = BurnDown.Of(given, new(due, Currency.EUR), Day(10));

        string.Join(' ', parts.Select(part => $"{ids[part.GrantId]}:{part.Amount.MinorUnits}")).ShouldBe(expected);
    }

    [Fact]
    public void Nothing_is_paid_of_what_is_not_owed() =>
        BurnDown.Of(Parse("a:50:-:100").Grants, new(-5, Currency.EUR), Day(10)).ShouldBeEmpty();

    [Fact]
    public void Whatever_is_due_no_grant_gives_more_than_it_has_and_the_parts_sum_to_the_lesser_of_due_and_credit()
    {
        var grant =
            from priority in Gen.Choose(0, 3)
            from day in Gen.Choose(0, 20)
            from cents in Gen.Choose(0, 500)
            select new CreditGrant(
                CreditGrantId.New(), CreditKind.Prepaid, priority, day == 0 ? null : Day(day), new(cents, Currency.EUR));
        var cases = from grants in grant.ListOf() from due in Gen.Choose(0, 3000) select (Grants: grants.ToList(), Due: due);

        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(cases.ToArbitrary(), it =>
        {
            var parts = BurnDown.Of(it.Grants, new(it.Due, Currency.EUR), Day(10));
            var usable = it.Grants.Where(each => !each.HasExpired(Day(10))).ToDictionary(each => each.GrantId);

            parts.ShouldAllBe(part => part.Amount.MinorUnits > 0 && part.Amount <= usable[part.GrantId].Remaining);
            parts.Select(part => part.GrantId).ShouldBeUnique();
            parts.Sum(part => part.Amount.MinorUnits).ShouldBe(Math.Min(it.Due, usable.Values.Sum(each => each.Remaining.MinorUnits)));

            // Whoever comes before the last payer in the order has given everything.
            var order = BurnDown.Order(usable.Values.Where(each => each.Remaining.MinorUnits > 0)).Take(parts.Count).ToList();
            parts.Select(part => part.GrantId).ShouldBe(order.Select(each => each.GrantId));
            parts.SkipLast(1).Select(part => part.Amount).ShouldBe(order.SkipLast(1).Select(each => each.Remaining));
        }));
    }

    [Fact]
    public void Any_history_of_a_wallet_leaves_no_grant_below_zero_and_every_cent_at_its_grant()
    {
        // Grants, consumptions, expiries and voids in any order, as days go by.
        var step = from what in Gen.Choose(0, 9) from cents in Gen.Choose(1, 300) from days in Gen.Choose(0, 6) select (what, cents, days);

        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(step.ListOf().ToArbitrary(), steps =>
        {
            var (wallet, at, history) = (Wallet.Initial, FirstOfJanuary, new List<WalletEvent>());
            foreach (var (what, cents, days) in steps)
            {
                at += Duration.FromDays(days);
                var decision = what switch
                {
                    < 4 => GrantCredit.Decide(
                        new(
                            CreditGrantId.New(), new(cents, Currency.EUR), CreditKind.Prepaid, cents % 3,
                            cents % 2 == 0 ? at + Duration.FromDays(1 + cents % 30) : null, "test", Currency.EUR, at),
                        wallet),
                    < 8 => SettleInvoice.Decide(new(InvoiceId.New(), new(cents, Currency.EUR), at), wallet),
                    8 => ExpireCredit.Decide(at, at, wallet),
                    _ => VoidCredit.Decide(
                        new(wallet.Grants.Count == 0 ? CreditGrantId.New() : wallet.Grants[cents % wallet.Grants.Count].GrantId, "test", at), wallet),
                };
                history.AddRange(decision.Events);
                wallet = EventStore.Fold.After(wallet, decision.Events);
            }

            var left = history.OfType<CreditConsumed>().SelectMany(it => it.Parts)
                .Concat(history.OfType<CreditExpired>().Select(it => new CreditPart(it.GrantId, it.Kind, it.Amount)))
                .Concat(history.OfType<CreditVoided>().Select(it => new CreditPart(it.GrantId, it.Kind, it.Amount)))
                .ToLookup(part => part.GrantId, part => part.Amount.MinorUnits);
            history.OfType<CreditConsumed>().ShouldAllBe(it => it.Amount.MinorUnits == it.Parts.Sum(part => part.Amount.MinorUnits));
            left.Select(grant => grant.Key).ShouldBeSubsetOf(wallet.Grants.Select(grant => grant.GrantId));
            foreach (var granted in history.OfType<CreditGranted>())
            {
                wallet.Find(granted.GrantId)!.Remaining.MinorUnits.ShouldBeGreaterThanOrEqualTo(0);
                (wallet.Find(granted.GrantId)!.Remaining.MinorUnits + left[granted.GrantId].Sum()).ShouldBe(granted.Amount.MinorUnits);
            }
        }));
    }

    private static Instant Day(int day) => FirstOfJanuary + Duration.FromDays(day - 1);

    private static (Dictionary<CreditGrantId, string> Names, List<CreditGrant> Grants) Parse(string text)
    {
        var (names, grants) = (new Dictionary<CreditGrantId, string>(), new List<CreditGrant>());
        foreach (var parts in text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(grant => grant.Split(':')))
        {
            var id = CreditGrantId.New();
            names[id] = parts[0];
            grants.Add(new(
                id, CreditKind.Prepaid, int.Parse(parts[1], null), parts[2] == "-" ? null : Day(int.Parse(parts[2], null)),
                new(long.Parse(parts[3], null), Currency.EUR)));
        }

        return (names, grants);
    }
}
