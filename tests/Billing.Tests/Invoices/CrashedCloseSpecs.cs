using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.EventStore;

namespace Platform.Billing.Tests.Invoices;

/// <summary>
/// A billing run that breaks off at each of its writes in turn, and at its commit, leaves nothing behind, and the next run makes the
/// invoices and numbers that an unbroken one would have made.
/// </summary>
public sealed class CrashedCloseSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    // Counted outside of the transaction that breaks off. Writes of other work than a close do not touch usage trees.
    private const string Faults =
        """
        create sequence billing.writes;
        grant usage on sequence billing.writes to public;
        create table billing.fault (at bigint not null);
        grant select on billing.fault to public;
        insert into billing.fault values (0);
        create function billing.break_off() returns trigger language plpgsql as $$
        begin
            if nextval('billing.writes') = (select at from billing.fault) then
                raise exception 'broken off';
            end if;
            return new;
        end $$;
        do $$
        declare name text;
        begin
            foreach name in array array['events', 'outbox', 'invoices', 'subscriptions', 'billing_periods', 'ledger_postings',
                'ledger_entries', 'ledger_balances', 'usage_trees', 'invoice_numbers'] loop
                execute format('create trigger break_off before insert or update on billing.%I for each row execute function billing.break_off()', name);
            end loop;
            create constraint trigger break_off_commit after insert on billing.usage_trees
                deferrable initially deferred for each row execute function billing.break_off();
        end $$;
        """;

    [Fact]
    public async Task A_run_that_breaks_off_anywhere_is_done_by_the_next_one_with_the_same_invoices_and_numbers()
    {
        await billing.Execute(Faults);
        var catalogs = new[] { await billing.NewCatalog(), await billing.NewCatalog() };

        var (at, brokenOff) = (1, true);
        for (; brokenOff; at++)
        {
            at.ShouldBeLessThan(200, "a close has an end");
            billing.Clock.Set(NodaTime.Instant.FromUtc(2026, 3, 10, 12, 0));
            var tenant = await billing.NewTenant();
            foreach (var catalog in catalogs)
                await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-03-01T00:00:00Z");
            await billing.Use(tenant, "used", "2026-03-05T00:00:00Z", calls: 4);
            billing.Clock.Set(NodaTime.Instant.FromUtc(2026, 4, 1, 0, 0));

            await billing.Execute($"select setval('billing.writes', 1, false); update billing.fault set at = {at.ToString(CultureInfo.InvariantCulture)}");
            brokenOff = await BreaksOff(tenant);
            if (brokenOff)
                (await billing.Count("invoices", tenant.Id)).ShouldBe(0, $"nothing is left of a run that broke off at write {at}");
            await billing.Execute("update billing.fault set at = 0");
            await Close(tenant);

            var invoice = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Single();
            invoice.GetProperty("total").GetProperty("amount").GetString().ShouldBe("62.40", $"broken off at write {at}");
            (await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id")}/replay"))
                .Json.GetProperty("identical").GetBoolean().ShouldBeTrue();
        }

        at.ShouldBeGreaterThan(15, "every write of a close was broken off once");
        var numbers = await billing.Strings("select data ->> 'number' from billing.invoices order by 1");
        numbers.ShouldBe(Enumerable.Range(1, numbers.Length).Select(i => $"2026-{i:000000}"), "no number is lost or given twice");
    }

    private async Task<bool> BreaksOff(TestTenant tenant)
    {
        try
        {
            await Close(tenant);
            return false;
        }
        catch (PostgresException broken) when (broken.MessageText == "broken off")
        {
            return true;
        }
    }

    private Task<int> Close(TestTenant tenant) => billing.Services.GetServices<IDueWork>()
        .Single(work => work.Name == "close_period").Do(tenant.Id, billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation);
}
