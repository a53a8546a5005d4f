using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Coupons;

/// <summary>Coupons over HTTP: the catalog, and who redeems from it.</summary>
public sealed class CouponCatalogSpecs(BillingHost billing)
{
    [Fact]
    public async Task A_coupon_goes_from_the_catalog_to_a_tenant_and_its_code_is_one_in_any_case()
    {
        var code = NewCode();
        var coupon = await Create(new { code, display_name = "Spring", discount = new { kind = "percent", rate = "0.25" }, duration = "forever" });
        var tenant = await billing.NewTenant();

        var redeemed = await tenant.Admin.Post("/v1/coupons/redemptions", new { code = code.ToUpperInvariant() });

        redeemed.Status.ShouldBe(201, redeemed.Text);
        redeemed.Json.GetProperty("code").GetString().ShouldBe(code.ToUpperInvariant());
        var id = redeemed.Json.GetProperty("redemption_id").GetGuid();
        (await tenant.Viewer.Get("/v1/coupons/redemptions")).Json.GetProperty("items")[0].GetProperty("redemption_id").GetGuid().ShouldBe(id);
        (await TimesRedeemed(coupon)).ShouldBe(1);
        (await tenant.Admin.Post("/v1/coupons/redemptions", new { code })).Code.ShouldBe("coupon.already_redeemed");

        var ended = await tenant.Admin.Post($"/v1/coupons/redemptions/{id}/end");
        ended.Status.ShouldBe(200, ended.Text);
        ended.Json.GetProperty("ended_at").GetString().ShouldNotBeNull();
        (await (await billing.NewTenant()).Admin.Post($"/v1/coupons/redemptions/{id}/end")).Status.ShouldBe(404);
    }

    [Fact]
    public async Task A_code_is_taken_for_ever_and_an_archived_coupon_is_redeemed_by_nobody()
    {
        var code = NewCode();
        var body = new { code, display_name = "Once", discount = new { kind = "fixed", amount = new { amount = "5.00", currency = "EUR" } }, duration = "once" };
        var coupon = await Create(body);

        (await billing.Operator.Post($"/v1/coupons/{coupon}/archive")).Status.ShouldBe(200);

        (await billing.Operator.Post("/v1/coupons", body)).Code.ShouldBe("coupon.code_taken");
        var refused = await (await billing.NewTenant()).Admin.Post("/v1/coupons/redemptions", new { code });
        (refused.Status, refused.Code).ShouldBe((422, "coupon.expired"));
        refused.Fields.ShouldBe(["code"]);
        (await TimesRedeemed(coupon)).ShouldBe(0);
    }

    [Fact]
    public async Task However_many_redeem_at_once_a_coupon_is_redeemed_as_often_as_it_can_be()
    {
        var code = NewCode();
        var coupon = await Create(new
        {
            code,
            display_name = "First three",
            discount = new { kind = "percent", rate = "1" },
            duration = "once",
            redemptions_max = 3,
        });
        var tenants = new List<TestTenant>();
        for (var i = 0; i < 8; i++)
            tenants.Add(await billing.NewTenant());

        // Each tenant tries twice at once, so that its own repetition races as well.
        var answers = await Task.WhenAll(tenants.Concat(tenants).Select(tenant => tenant.Admin.Post("/v1/coupons/redemptions", new { code })));

        answers.Count(answer => answer.Status == 201).ShouldBe(3);
        answers.Where(answer => answer.Status != 201).ShouldAllBe(answer => answer.Status == 409);
        answers.Count(answer => answer.Status == 409 && answer.Code == "coupon.exhausted").ShouldBeGreaterThanOrEqualTo(10);
        (await TimesRedeemed(coupon)).ShouldBe(3);
        long rows = 0;
        foreach (var tenant in tenants)
            rows += await billing.Count("coupon_redemptions", tenant.Id);
        rows.ShouldBe(3);
    }

    [Fact]
    public async Task A_repeated_request_is_one_redemption()
    {
        var code = NewCode();
        var coupon = await Create(new { code, display_name = "Once", discount = new { kind = "percent", rate = "1" }, duration = "once", redemptions_max = 1 });
        var tenant = await billing.NewTenant();
        var key = Guid.CreateVersion7().ToString();

        var first = await tenant.Admin.Post("/v1/coupons/redemptions", new { code }, key);
        var again = await tenant.Admin.Post("/v1/coupons/redemptions", new { code }, key);

        (first.Status, again.Status).ShouldBe((201, 201));
        again.Text.ShouldBe(first.Text);
        (await TimesRedeemed(coupon)).ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"code":"A B","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"once"}""", 400, "code")]
    [InlineData("""{"code":"A","display_name":"","discount":{"kind":"percent","rate":"0.1"},"duration":"once"}""", 400, "display_name")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"25"},"duration":"once"}""", 400, "discount.rate")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0"},"duration":"once"}""", 400, "discount.rate")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":0.1},"duration":"once"}""", 400, "discount.rate")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"fixed","amount":{"amount":"0.00","currency":"EUR"}},"duration":"once"}""", 400, "discount.amount")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"gift"},"duration":"once"}""", 400, "discount")]
    [InlineData("""{"code":"A","display_name":"A","duration":"once"}""", 400, "discount")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"weekly"}""", 400, "duration")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"repeating"}""", 400, "periods")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"once","periods":2}""", 400, "periods")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"once","redemptions_max":0}""", 400, "redemptions_max")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"once","priority":-1}""", 400, "priority")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"once","plan_ids":["0198c0de-0000-7000-8000-0000000000aa"]}""", 422, "plan_ids")]
    [InlineData("""{"code":"A","display_name":"A","discount":{"kind":"percent","rate":"0.1"},"duration":"once","product_ids":["0198c0de-0000-7000-8000-0000000000aa"]}""", 422, "product_ids")]
    public async Task A_coupon_that_makes_no_sense_is_refused_by_its_field(string body, int status, string field)
    {
        var answer = await billing.Operator.Post("/v1/coupons", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
    }

    [Theory]
    [InlineData("""{"code":"NO-SUCH-COUPON"}""", "code")]
    [InlineData("""{"code":"FOR-ALL","subscription_id":"0198c0de-0000-7000-8000-0000000000aa"}""", "subscription_id")]
    public async Task What_cannot_be_redeemed_is_refused_by_its_field(string body, string field)
    {
        await billing.Operator.Post("/v1/coupons", new { code = "FOR-ALL", display_name = "A", discount = new { kind = "percent", rate = "0.1" }, duration = "once" });
        var tenant = await billing.NewTenant();

        var answer = await tenant.Admin.Post("/v1/coupons/redemptions", body);

        answer.Status.ShouldBe(422, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    [Fact]
    public async Task The_catalog_of_coupons_is_the_operators_and_admins_redeem()
    {
        var tenant = await billing.NewTenant();

        (await tenant.Admin.Get("/v1/coupons")).Status.ShouldBe(403);
        (await tenant.Admin.Post("/v1/coupons", "{}")).Status.ShouldBe(403);
        (await tenant.Viewer.Post("/v1/coupons/redemptions", "{}")).Status.ShouldBe(403);
        (await billing.Anonymous.Get("/v1/coupons/redemptions")).Status.ShouldBe(401);
        (await billing.Operator.Get("/v1/coupons")).Status.ShouldBe(200);
    }

    private async Task<Guid> Create(object body)
    {
        var created = await billing.Operator.Post("/v1/coupons", body);
        created.Status.ShouldBe(201, created.Text);
        return created.Json.GetProperty("coupon_id").GetGuid();
    }

    private async Task<int> TimesRedeemed(Guid coupon) =>
        (await billing.Operator.Get($"/v1/coupons/{coupon}")).Json.GetProperty("times_redeemed").GetInt32();

    private static string NewCode() => $"c{Guid.CreateVersion7():n}";
}
