using Microsoft.Extensions.DependencyInjection;
using NodaTime;
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
    [Fact]
    public async Task A_run_that_breaks_off_anywhere_is_done_by_the_next_one_with_the_same_invoices_and_numbers()
    {
        var faults = new CloseFaults(billing);
        await faults.Install();
        var catalogs = new[] { await billing.NewCatalog(), await billing.NewCatalog() };

        var unbroken = await Used(catalogs);
        await faults.Count();
        await Close(unbroken);
        var writes = await faults.Writes();
        writes.Values.Sum().ShouldBeGreaterThan(15, "a close writes to many tables");

        foreach (var (step, at) in writes.SelectMany(it => Enumerable.Range(1, (int)it.Value).Select(at => (it.Key, at))))
        {
            var tenant = await Used(catalogs);
            await faults.Arm(step, at, FaultKind.Failure);
            await Should.ThrowAsync<PostgresException>(Close(tenant), $"broken off at write {at} of {step}");
            (await billing.Count("invoices", tenant.Id)).ShouldBe(0, $"nothing is left of a run that broke off at write {at} of {step}");
            await faults.Disarm();
            await Close(tenant);

            var invoice = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Single();
            invoice.GetProperty("total").GetProperty("amount").GetString().ShouldBe("62.40", $"broken off at write {at} of {step}");
            (await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id")}/replay"))
                .Json.GetProperty("identical").GetBoolean().ShouldBeTrue();
        }

        var numbers = await billing.Strings("select data ->> 'number' from billing.invoices order by 1");
        numbers.ShouldBe(Enumerable.Range(1, numbers.Length).Select(i => $"2026-{i:000000}"), "no number is lost or given twice");
    }

    /// <summary>A tenant whose two subscriptions' first month has ended.</summary>
    private async Task<TestTenant> Used(IEnumerable<TestCatalog> catalogs)
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        foreach (var catalog in catalogs)
            await BillingHost.Subscribe(tenant, catalog, startedAt: "2026-03-01T00:00:00Z");
        await billing.Use(tenant, "used", "2026-03-05T00:00:00Z", calls: 4);
        billing.Clock.Set(Instant.FromUtc(2026, 4, 1, 0, 0));
        return tenant;
    }

    private Task<int> Close(TestTenant tenant) => billing.Services.GetServices<IDueWork>()
        .Single(work => work.Name == "close_period").Do(tenant.Id, billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation);
}
