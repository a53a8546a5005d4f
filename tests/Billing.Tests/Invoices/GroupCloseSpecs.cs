using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.Billing.Tests.Usage;
using Platform.EventStore;

namespace Platform.Billing.Tests.Invoices;

/// <summary>Tenants that close together ask together, and each is answered for itself.</summary>
public sealed class GroupCloseSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task Each_of_a_group_gets_the_invoice_that_it_was_shown_alone_whatever_the_others_are()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 1, 1, 1, 0));
        var catalog = await billing.NewCatalog();
        var tenants = await billing.NewTenantsOfOneLane(6);
        var (idle, plain, midHour, corrected, late, twice) = (tenants[0], tenants[1], tenants[2], tenants[3], tenants[4], tenants[5]);
        foreach (var tenant in tenants)
            await BillingHost.Subscribe(tenant, catalog, tenant == midHour ? "2026-01-01T00:30:00Z" : "2026-01-01T00:00:00Z");
        await BillingHost.Subscribe(twice, await billing.NewCatalog(), "2026-01-01T00:00:00Z");

        // 1 the first month, in hours that periods cut and in others
        billing.Clock.Set(Instant.FromUtc(2026, 1, 20, 0, 0));
        foreach (var (tenant, calls) in tenants.Except([idle]).Zip([1, 2, 4, 8, 16]))
        {
            await billing.Use(tenant, "before the half hour", "2026-01-01T00:10:00Z", 100 * calls);
            await billing.Use(tenant, "after it", "2026-01-01T00:40:00Z", calls);
            await billing.Use(tenant, "later", "2026-01-19T12:00:00Z", calls);
        }

        (await corrected.Admin.Post("/v1/usage/corrections", new { kind = "void", source = "test", id = "later", reason = "twice" }))
            .Status.ShouldBe(201);
        await UsageRollUpSpecs.RolledUp(billing);
        await CloseAsShown(Instant.FromUtc(2026, 2, 1, 0, 0), treeSizes: [0, 3, 2, 3, 3, 3]);

        // 2 the next one, for which some of the first comes late; nobody rolled it up yet
        await billing.Use(late, "late", "2026-01-10T00:00:00Z", 3);
        await billing.Use(plain, "on time", "2026-02-01T00:00:00Z", 5);
        await CloseAsShown(Instant.FromUtc(2026, 3, 1, 0, 0), treeSizes: [0, 1, 0, 0, 1, 0]);

        async Task CloseAsShown(Instant end, int[] treeSizes)
        {
            billing.Clock.Set(end - Duration.FromSeconds(1));
            var shown = new List<JsonElement>();
            foreach (var tenant in tenants)
                shown.Add((await tenant.Viewer.Post("/v1/invoices/preview", new { })).Json);
            billing.Clock.Set(end);
            (await Closes.Do([.. tenants.Select(tenant => tenant.Id)], end, Cause.Unknown, BillingHost.Cancellation)).ShouldBe(tenants.Count);

            foreach (var (tenant, place) in tenants.Select((tenant, place) => (tenant, place)))
            {
                var invoice = (await tenant.Viewer.Get("/v1/invoices?limit=1")).Json.GetProperty("items")[0];
                invoice.GetProperty("lines").GetRawText().ShouldBe(shown[place].GetProperty("lines").GetRawText(), $"tenant {place}");
                invoice.GetProperty("usage_tree").GetProperty("size").GetInt32().ShouldBe(treeSizes[place], $"tenant {place}");
                (await tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id").GetString()}/replay"))
                    .Json.GetProperty("identical").GetBoolean().ShouldBeTrue($"tenant {place}");
            }
        }
    }

    private CloseDuePeriods Closes => billing.Services.GetServices<IDueWork>().OfType<CloseDuePeriods>().Single();
}
