using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.EventStore;

namespace Platform.Billing.Tests.Rating;

/// <summary>Charges with tiers in a plan, from the catalog to invoices. Moves the clock, so it has a host of its own.</summary>
public sealed class RatedPlanSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly object[] Tiers =
    [
        new { up_to = "10", unit_amount = "1", flat_amount = "2" },
        new { up_to = (string?)null, unit_amount = "0.5", flat_amount = "3" },
    ];

    [Fact]
    public async Task Tiers_and_the_minimum_go_on_over_slices_and_late_reports()
    {
        var meter = await Meter();
        var plan = await Plan(new { model = "graduated", meter, display_name = "Storage", tiers = Tiers, minimum_amount = "20" });
        plan.Status.ShouldBe(201, plan.Text);
        plan.Json.GetProperty("versions")[0].GetProperty("charges")[0].GetProperty("tiers").GetArrayLength().ShouldBe(2);
        var tenant = await billing.NewTenant();
        var subscription = (await tenant.Admin.Post(
            "/v1/subscriptions",
            new { plan_id = plan.Json.GetProperty("plan_id").GetGuid(), started_at = "2026-02-01T00:00:00Z" }))
            .Json.GetProperty("subscription_id").GetGuid();

        // February: 8 x 1 + 2 is below the minimum.
        await Use("2026-02-10T00:00:00Z", "8");
        await CloseEnded();
        (await Latest()).ShouldBe([("usage", "8", null, "20.00")]);

        // 38 units owe 10 x 1 + 2 + 28 x 0.5 + 3 = 29. March is cut at the tenth, and its minimum is not due yet.
        await Use("2026-02-11T00:00:00Z", "30");
        await Use("2026-03-05T00:00:00Z", "9");
        (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Status.ShouldBe(201);
        (await Latest()).ShouldBe([("usage", "9", null, "11.00"), ("late_usage", "30", null, "9.00")]);

        // 15 units owe 10 x 1 + 2 + 5 x 0.5 + 3 = 17.50, so March takes 20 in all.
        billing.Clock.Set(Instant.FromUtc(2026, 3, 20, 12, 0));
        await Use("2026-03-06T00:00:00Z", "1");
        await Use("2026-03-15T00:00:00Z", "5");
        billing.Clock.Set(Instant.FromUtc(2026, 4, 2, 12, 0));
        await CloseEnded();
        (await Latest()).ShouldBe([("usage", "5", null, "8.00"), ("late_usage", "1", null, "1.00")]);

        var lines = (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines");
        lines[0].GetProperty("breakdown").EnumerateArray()
            .Select(step => (step.GetProperty("step").GetString(), step.GetProperty("amount").GetString()))
            .ShouldBe([("tier", "12"), ("tier", "5.5"), ("minimum", "2.5"), ("already_billed", "-12")]);

        async Task Use(string time, string units) => (await tenant.Partner.Post("/v1/usage/events", new
        {
            id = time,
            source = "test",
            type = $"{meter}.used",
            time,
            data = new { units },
        })).Status.ShouldBe(200);

        Task CloseEnded() => billing.Services.GetRequiredService<RunDueWork>()
            .Run(billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation);

        async Task<(string?, string?, string?, string?)[]> Latest() =>
        [
            .. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items")[0].GetProperty("lines").EnumerateArray()
                .Select(line => (
                    line.GetProperty("kind").GetString(), line.GetProperty("quantity").GetString(),
                    line.GetProperty("unit_amount").GetString(),
                    line.GetProperty("amount").GetProperty("amount").GetString())),
        ];
    }

    [Theory]
    [InlineData("flat")]
    [InlineData("per_unit")]
    [InlineData("volume")]
    [InlineData("package")]
    [InlineData("percentage")]
    [InlineData("graduated_percentage")]
    [InlineData("windowed_commitment")]
    [InlineData("percentage", "by event")]
    [InlineData("dynamic", "amounts")]
    [InlineData("dynamic", "multipliers")]
    public async Task A_plan_can_have_every_model_and_the_same_terms_again_are_no_new_version(string model, string terms = "")
    {
        var meter = await Meter();
        object charge = (model, terms) switch
        {
            (_, "by event") => new
            {
                model,
                meter,
                display_name = "A",
                rate = "0.013",
                free_amount = "100",
                fixed_amount = "0.25",
                free_events = 3,
                per_event_minimum = "0.5",
                per_event_maximum = "5",
            },
            (_, "amounts") => new { model, meter, display_name = "A", amount_property = "price", multiplier_property = "segments", maximum_amount = "9" },
            (_, "multipliers") => new { model, meter, display_name = "A", unit_amount = "0.05", multiplier_property = "segments" },
            ("flat", _) => new { model, meter, display_name = "A", amount = "5" },
            ("per_unit", _) => new { model, meter, display_name = "A", unit_price = "5", free_units = "3", maximum_amount = "9" },
            ("percentage", _) => new { model, meter, display_name = "A", rate = "0.013", free_amount = "100" },
            ("graduated_percentage", _) => new { model, meter, display_name = "A", tiers = new object[] { new { up_to = "5", rate = "0.1" }, new { up_to = (string?)null, rate = "0.2", flat_amount = "1" } } },
            ("windowed_commitment", _) => new
            {
                model,
                meter,
                display_name = "A",
                window = "hour",
                bands = new object[]
                {
                    new { from = "08:00", to = "20:00", unit_amount = "3", days = "weekdays" }, new { from = "20:00", to = "08:00", unit_amount = "1", days = "weekdays" },
                    new { from = "00:00", to = "24:00", unit_amount = "1", days = "weekend" },
                },
                committed_quantity = "5",
                overage_factor = "1.5",
                true_up = "period",
            },
            ("volume", _) => new { model, meter, display_name = "A", tiers = new object[] { new { up_to = "5", unit_amount = "1" }, new { up_to = (string?)null, unit_amount = "2" } } },
            _ => new { model, meter, display_name = "A", package_size = "5", package_amount = "1", package_rounding = "down" },
        };
        var plan = await Plan(charge);
        plan.Status.ShouldBe(201, plan.Text);

        var again = await billing.Operator.Post(
            $"/v1/plans/{plan.Json.GetProperty("plan_id").GetGuid()}/versions",
            new { display_name = "Plan", recurring_fee = new { amount = "0.00", currency = "EUR" }, proration = "days", charges = new[] { charge } });

        again.Status.ShouldBe(201, again.Text);
        again.Json.GetProperty("latest_version").GetInt32().ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"model":"graduated","tiers":[{"up_to":"15","unit_amount":"2"},{"up_to":"15","unit_amount":"1"}]""", "charges[0].tiers[1].up_to")]
    [InlineData("""{"model":"package","package_size":"-1","package_amount":"1" """, "charges[0].package_size")]
    [InlineData("""{"model":"per_unit","unit_price":"1","minimum_amount":"2","maximum_amount":"1" """, "charges[0].maximum_amount")]
    [InlineData("""{"model":"percentage","rate":"1.3" """, "charges[0].rate")]
    [InlineData("""{"model":"percentage","rate":"0.1","free_events":-1 """, "charges[0].free_events")]
    [InlineData("""{"model":"percentage","rate":"0.1","per_event_minimum":"2","per_event_maximum":"1" """, "charges[0].per_event_maximum")]
    [InlineData("""{"model":"dynamic" """, "charges[0].price_key")]
    [InlineData("""{"model":"dynamic","price_key":"p","amount_property":"a" """, "charges[0].amount_property")]
    [InlineData("""{"model":"dynamic","unit_amount":"1" """, "charges[0].multiplier_property")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","committed_quantity":"1" """, "charges[0].unit_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","bands":[{"from":"08:00","to":"20:00","unit_amount":"1"}]""", "charges[0].bands[0].from")]
    public async Task A_plans_charge_that_makes_no_sense_is_refused_by_its_field(string charge, string field)
    {
        var answer = await billing.Operator.Post(
            "/v1/plans",
            $$"""
            {"key":"senseless","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days",
            "charges":[{{charge}},"meter":"m","display_name":"M"}]}
            """);

        answer.Status.ShouldBe(422, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
    }

    private async Task<string> Meter()
    {
        var key = $"m{Guid.CreateVersion7():n}";
        (await billing.Operator.Post("/v1/meters", new
        {
            key,
            display_name = "Storage",
            event_type = $"{key}.used",
            aggregation = "sum",
            value_property = "units",
            unit = "unit",
        })).Status.ShouldBe(201);
        return key;
    }

    private Task<Answer> Plan(object charge) => billing.Operator.Post("/v1/plans", new
    {
        key = $"p{Guid.CreateVersion7():n}",
        display_name = "Plan",
        recurring_fee = new { amount = "0.00", currency = "EUR" },
        proration = "days",
        charges = new[] { charge },
    });
}
