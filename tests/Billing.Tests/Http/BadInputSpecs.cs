using Platform.Billing.Tests.Scenarios;

namespace Platform.Billing.Tests.Http;

/// <summary>Whatever is wrong with a request is named, and nothing of it is stored.</summary>
public sealed class BadInputSpecs(BillingHost billing)
{
    private const string GoodEvent =
        """ "id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"} """;

    [Theory]
    // who, path, body -> status, field
    [InlineData("/v1/tenants", "{", 400, "body")]
    [InlineData("/v1/tenants", "[]", 400, "body")]
    [InlineData("/v1/tenants", """{"currency":"EUR","time_zone":"Europe/Berlin"}""", 400, "name")]
    [InlineData("/v1/tenants", """{"name":"","currency":"EUR","time_zone":"Europe/Berlin"}""", 400, "name")]
    [InlineData("/v1/tenants", """{"name":"A","currency":"EURO","time_zone":"Europe/Berlin"}""", 400, "currency")]
    [InlineData("/v1/tenants", """{"name":"A","currency":"EUR","time_zone":"Berlin"}""", 400, "time_zone")]
    [InlineData("/v1/tenants", """{"name":"A","currency":"EUR","time_zone":"UTC","billing_anchor_day":0}""", 400, "billing_anchor_day")]
    [InlineData("/v1/tenants", """{"name":"A","currency":"EUR","time_zone":"UTC","billing_anchor_day":32}""", 400, "billing_anchor_day")]
    [InlineData("/v1/tenants", """{"name":"A","currency":"EUR","time_zone":"UTC","anchor":3}""", 400, "anchor")]
    [InlineData("/v1/tenants", """{"name":"A\u0000","currency":"EUR","time_zone":"UTC"}""", 400, "name")]
    [InlineData("/v1/api-keys", """{"name":"","scope":"partner"}""", 400, "name")]
    [InlineData("/v1/api-keys", """{"name":"A\u0000","scope":"partner"}""", 400, "name")]
    [InlineData("/v1/api-keys", """{"name":"A","scope":"root"}""", 400, "scope")]
    [InlineData("/v1/products", """{"key":"p","display_name":"  ","business":"consulting"}""", 400, "display_name")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[{"model":"per_unit","meter":"m","display_name":" ","unit_price":"1"}]}""", 400, "charges[0].display_name")]
    [InlineData("/v1/meters", """{"key":"A b","display_name":"A","event_type":"a","aggregation":"count","unit":"a"}""", 400, "key")]
    [InlineData("/v1/meters", """{"key":"a","display_name":"A","event_type":"a","aggregation":"median","unit":"a"}""", 400, "aggregation")]
    [InlineData("/v1/meters", """{"key":"a","display_name":"A","event_type":"a","aggregation":"sum","unit":"a"}""", 422, "value_property")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"-1.00","currency":"EUR"},"proration":"days","charges":[]}""", 400, "recurring_fee.amount")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.005","currency":"EUR"},"proration":"days","charges":[]}""", 400, "recurring_fee")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"weeks","charges":[]}""", 400, "proration")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[{"model":"per_unit","meter":"no.such","display_name":"X","unit_price":"1"}]}""", 422, "charges[0].meter")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[{"model":"per_unit","meter":"m","display_name":"X","unit_price":"-1"}]}""", 400, "charges[0].unit_price")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[{"model":"per_unit","meter":"m","display_name":"X","unit_price":1}]}""", 400, "charges[0].unit_price")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[{"model":"barter","meter":"m","display_name":"X"}]}""", 400, "charges[0]")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[null]}""", 400, "charges")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[{"model":"per_unit","meter":"\u0000","display_name":"X","unit_price":"1"}]}""", 400, "charges[0].meter")]
    [InlineData("/v1/plans", """{"key":"p","display_name":"P","recurring_fee":{"amount":"1.00","currency":"EUR"},"proration":"days","charges":[],"entitlements":{"features":[null]}}""", 400, "entitlements.features")]
    [InlineData("/v1/add-ons", """{"key":"a","display_name":"A","amount":{"amount":"1000000000.00","currency":"EUR"},"kind":"one_off"}""", 400, "amount.amount")]
    [InlineData("/v1/subscriptions", """{"plan_id":"00000000-0000-0000-0000-000000000000"}""", 400, "plan_id")]
    [InlineData("/v1/subscriptions", """{"plan_id":"0198c0de-0000-7000-8000-000000000001"}""", 422, "plan_id")]
    public async Task A_wrong_field_is_named(string path, string body, int status, string field)
    {
        // The operator's key is this test's only caller here, so that what it stored can be told from other tests' work.
        var caller = await NewOperator();

        var answer = await caller.Post(path, body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
        (await billing.Strings($"select type from billing.events where actor = 'api_key/{caller.Id}'")).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("{", 400, "body")]
    [InlineData("[]", 400, "events")]
    [InlineData("7", 400, "body")]
    [InlineData("""{"events":7}""", 400, "events")]
    [InlineData("""{"events":[],"more":1}""", 400, "more")]
    [InlineData("""{"id":"1","id":"2"}""", 400, "body")]
    [InlineData("""{"source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"}}""", 400, "id")]
    [InlineData("""{"id":"","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"}}""", 400, "id")]
    [InlineData("""{"id":"1","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"}}""", 400, "source")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z"}""", 400, "data")]
    [InlineData("""{"id":"1","source":"worker/1","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"}}""", 422, "source")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"yesterday","data":{"milliseconds":"5"}}""", 400, "time")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00","data":{"milliseconds":"5"}}""", 400, "time")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T12:05:01Z","data":{"milliseconds":"5"}}""", 422, "time")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2024-03-10T12:00:00Z","data":{"milliseconds":"5"}}""", 422, "time")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.tme","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"}}""", 422, "type")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"-5"}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"five"}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"1e3"}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"NaN"}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"1000000000000000"}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"0.0000000001"}}""", 422, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":5}}""", 400, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":null}}""", 400, "data.milliseconds")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"},"quantity":"5"}""", 400, "quantity")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"},"specversion":"0.3"}""", 400, "specversion")]
    [InlineData("""{"id":"1","source":"s","type":"gpu.time","time":"2026-03-10T11:00:00Z","data":{"milliseconds":"5"},"tenant":"0198c0de-0000-7000-8000-00000000dead"}""", 404, "tenant")]
    public async Task Wrong_usage_is_refused_by_its_field_and_nothing_is_stored(string body, int status, string field)
    {
        await billing.NewCatalog();
        var tenant = await billing.NewTenant();

        var answer = await tenant.Partner.Post("/v1/usage/events", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
        answer.Json.GetProperty("type").GetString().ShouldStartWith("https://errors.platform.example/");
        (await billing.Count("usage_events", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task Five_minutes_ahead_is_a_clock_that_is_a_little_fast()
    {
        await billing.NewCatalog();
        var tenant = await billing.NewTenant();

        (await tenant.Partner.Post(
            "/v1/usage/events",
            $$"""{{{GoodEvent.Replace("11:00:00", "12:05:00", StringComparison.Ordinal)}},"tenant":"{{tenant.Id}}","specversion":"1.0"}"""))
            .Status.ShouldBe(200);
    }

    [Theory]
    [InlineData("/v1/usage?meter=m&from=2026-03-01T00:00:00Z", "to")]
    [InlineData("/v1/usage?meter=m&from=x&to=2026-03-01T00:00:00Z", "from")]
    [InlineData("/v1/usage?meter=m&to=2026-03-01T00:00:00Z&from=2026-03-01T00:00:00Z", "to")]
    [InlineData("/v1/usage?meter=m&from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z&window=week", "window")]
    [InlineData("/v1/usage?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z", "meter")]
    [InlineData("/v1/prices?key=%00", "key")]
    [InlineData("/v1/invoices?limit=0", "limit")]
    [InlineData("/v1/invoices?limit=201", "limit")]
    [InlineData("/v1/usage/events?cursor=zzz", "cursor")]
    [InlineData("/v1/invoices/00000000-0000-0000-0000-000000000000", "id")]
    public async Task A_wrong_query_is_named(string path, string field)
    {
        var answer = await billing.Operator.Get(path);

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    private async Task<Caller> NewOperator()
    {
        var issued = await billing.Operator.Post("/v1/api-keys", new { name = "test", scope = "operator" });
        return billing.With(issued.Json.GetProperty("key").GetString()!, issued.Json.GetProperty("api_key_id").GetString());
    }

    [Theory]
    [InlineData("subscription.currency_differs", 422)]
    public async Task A_plan_in_another_currency_is_refused(string code, int status)
    {
        var tenant = await billing.NewTenant(currency: "JPY");
        var catalog = await billing.NewCatalog("EUR");

        var answer = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = catalog.PlanId });

        answer.Status.ShouldBe(status);
        answer.Code.ShouldBe(code);
        (await billing.Count("subscriptions", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task An_amount_beyond_the_books_is_refused_until_its_usage_is_corrected()
    {
        var acme = await Scenario.Begin(billing, "2027-01-01");
        var charge = new { model = "per_unit", meter = await acme.Meter("hours"), display_name = "Hours", unit_price = "100000" };
        await acme.Subscribe(await acme.Plan("Hours", fee: "1.00", [charge]));
        var wrong = await acme.Use("hours", "999999999999999");

        var preview = await acme.Admin.Post("/v1/invoices/preview", "{}");
        var advance = await acme.Admin.Post($"/v1/test-clocks/{acme.Id}/advance", new { to = "2027-02-01T00:00:00Z" });
        await acme.Void(wrong);
        await acme.AdvanceTo("2027-02-02");

        foreach (var refused in new[] { preview, advance })
            (refused.Status, refused.Code).ShouldBe((409, "amount.too_large"), refused.Text);
        (await billing.Count("invoices", acme.Id)).ShouldBe(1);
    }

    [Fact]
    public async Task One_meter_is_billed_by_one_subscription()
    {
        var tenant = await billing.NewTenant();
        var catalog = await billing.NewCatalog();
        await BillingHost.Subscribe(tenant, catalog);

        var second = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = catalog.PlanId });

        second.Status.ShouldBe(409);
        second.Code.ShouldBe("subscription.meter_already_billed");
    }
}
