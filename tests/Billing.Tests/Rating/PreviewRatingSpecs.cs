using Platform.Billing.Tests.Http;
using Platform.Testing;

namespace Platform.Billing.Tests.Rating;

public sealed class PreviewRatingSpecs(BillingHost billing)
{
    private const string Graduated =
        """
        {"model":"graduated","tiers":[{"up_to":"10","unit_amount":"10","flat_amount":"2"},
        {"up_to":null,"unit_amount":"5","flat_amount":"3"}],"free_units":"0","minimum_amount":null,"maximum_amount":null}
        """;

    private const string Windows = ""","windows":[{"start":"2027-03-01T00:00:00Z","quantity":"1"}],"time_zone":"Etc/UTC" """;

    [Fact]
    public async Task A_preview_is_explained_as_approved()
    {
        var answer = await billing.Operator.Post(
            "/v1/rating/preview",
            $$"""
            {"currency":"USD","charge":{{Graduated}},"quantity":"11","already_billed_quantity":"0","already_billed_amount":"0",
            "events":[{"amount":"200"}],"period_end":true}
            """);

        answer.Status.ShouldBe(200, answer.Text);
        Approve.Text(Pretty.Json(answer.Json) + "\n", "preview.json");
    }

    [Fact]
    public async Task Any_key_may_preview_without_an_idempotency_key_and_nobody_without_a_key()
    {
        var tenant = await billing.NewTenant();
        const string Body = """{"currency":"JPY","charge":{"model":"flat","amount":"10.5"}}""";

        foreach (var caller in new[] { tenant.Admin, tenant.Viewer, tenant.Partner, billing.Operator })
        {
            var answer = await caller.Post("/v1/rating/preview", Body, idempotencyKey: "");
            answer.Status.ShouldBe(200, answer.Text);
            answer.Json.GetProperty("amount").GetString().ShouldBe("10.5");
            answer.Json.GetProperty("rounded").GetString().ShouldBe("11");
        }

        (await billing.Anonymous.Post("/v1/rating/preview", Body)).Status.ShouldBe(401);
    }

    [Theory]
    // the charge's fields, the rest of the request -> amount, rounded
    [InlineData("""{"model":"flat","amount":"30"}""", "", "30", "30.00")]
    [InlineData("""{"model":"per_unit","unit_amount":"0.005"}""", ""","quantity":"1" """, "0.005", "0.01")]
    [InlineData("""{"model":"per_unit","unit_amount":"0.005"}""", ""","quantity":"2","already_billed_quantity":"1" """, "0.005", "0.00")]
    [InlineData("""{"model":"per_unit","unit_amount":"2","minimum_amount":"50"}""", ""","quantity":"3","period_end":false""", "6", "6.00")]
    [InlineData("""{"model":"per_unit","unit_amount":"2","minimum_amount":"50"}""", ""","quantity":"3","already_billed_amount":"6" """, "44", "44.00")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":"15","unit_amount":"2"},{"up_to":null,"unit_amount":"1"}]}""", ""","quantity":"15.5" """, "15.5", "15.50")]
    [InlineData("""{"model":"package","package_size":"10","package_amount":"4","free_units":"5"}""", ""","quantity":"16" """, "8", "8.00")]
    [InlineData("""{"model":"package","package_size":"10","package_amount":"4","package_rounding":"down"}""", ""","quantity":"19" """, "4", "4.00")]
    [InlineData("""{"model":"percentage","rate":"0.013","fixed_amount":"0.5","free_events":1}""", ""","events":[{"amount":"200"},{"amount":"100"}]""", "3.1", "3.10")]
    [InlineData("""{"model":"percentage","rate":"0.013","free_events":"1"}""", ""","events":[{"amount":"200"}]""", "0", "0.00")]
    [InlineData("""{"model":"graduated_percentage","tiers":[{"up_to":"100","rate":"0.02","flat_amount":"1"},{"up_to":null,"rate":"0.01"}]}""", ""","quantity":"200" """, "4", "4.00")]
    [InlineData("""{"model":"percentage","rate":"0.01","fixed_amount":"0.5"}""", ""","events":[{"amount":"100","count":1000},{"amount":"50"}]""", "1501", "1501.00")]
    [InlineData("""{"model":"dynamic"}""", ""","events":[{"amount":"2","multiplier":"1.5"},{"amount":"1"}]""", "4", "4.00")]
    [InlineData("""{"model":"dynamic","unit_amount":"3"}""", ""","events":[{"multiplier":"1.5"}]""", "4.5", "4.50")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"2","committed_quantity":"5","overage_factor":"1.5"}""", ""","windows":[{"start":"2027-03-01T00:00:00Z","quantity":"6"},{"start":"2027-03-01T02:00:00Z","quantity":"0"}],"time_zone":"Europe/Berlin" """, "33", "33.00")]
    [InlineData("""{"model":"windowed_commitment","window":"day","unit_amount":"2","committed_quantity":"5"}""", ""","windows":[{"start":"2027-03-01T12:00:00Z","quantity":"6"}],"time_zone":"Asia/Kathmandu" """, "12", "12.00")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"2","committed_amount":"10","true_up":"period"}""", ""","from":"2027-03-01T00:00:00Z","to":"2027-03-02T00:00:00Z","time_zone":"Etc/UTC","already_billed_amount":"40" """, "200", "200.00")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","bands":[{"from":"08:00","to":"20:00","unit_amount":"3"},{"from":"20:00","to":"08:00","unit_amount":"1"}]}""", ""","windows":[{"start":"2027-03-01T07:00:00Z","quantity":"1"},{"start":"2027-03-01T20:00:00Z","quantity":"1"}],"time_zone":"Europe/Berlin" """, "4", "4.00")]
    public async Task Every_model_can_be_previewed(string charge, string rest, string amount, string rounded)
    {
        var answer = await billing.Operator.Post("/v1/rating/preview", $$"""{"currency":"USD","charge":{{charge}}{{rest}}}""");

        answer.Status.ShouldBe(200, answer.Text);
        answer.Json.GetProperty("amount").GetString().ShouldBe(amount);
        answer.Json.GetProperty("rounded").GetString().ShouldBe(rounded);
    }

    [Fact]
    public async Task Windows_are_explained_one_by_one_where_that_is_asked_for()
    {
        const string Body =
            """
            {"currency":"USD","time_zone":"Europe/Berlin","explain_windows":true,
            "charge":{"model":"windowed_commitment","window":"hour","committed_quantity":"5","overage_factor":"1.5",
            "bands":[{"from":"08:00","to":"20:00","unit_amount":"3"},{"from":"20:00","to":"08:00","unit_amount":"1"}]},
            "windows":[{"start":"2027-03-01T06:00:00Z","quantity":"7"},{"start":"2027-03-01T07:00:00Z","quantity":"2"}]}
            """;

        var answer = await billing.Operator.Post("/v1/rating/preview", Body);

        answer.Status.ShouldBe(200, answer.Text);
        Approve.Text(Pretty.Json(answer.Json) + "\n", "windows.json");
    }

    [Theory]
    [InlineData("""{"model":"barter"}""", "", 422, "charge.model")]
    [InlineData("""{"amount":"1"}""", "", 400, "charge.model")]
    [InlineData("""{"model":"flat"}""", "", 422, "charge.amount")]
    [InlineData("""{"model":"flat","amount":"-1"}""", "", 422, "charge.amount")]
    [InlineData("""{"model":"flat","amount":1}""", "", 400, "charge.amount")]
    [InlineData("""{"model":"flat","amount":"1","free_units":"1"}""", "", 422, "charge.free_units")]
    [InlineData("""{"model":"flat","amount":"1","rate":"1"}""", "", 422, "charge.rate")]
    [InlineData("""{"model":"flat","amount":"1","price":"1"}""", "", 400, "charge.price")]
    [InlineData("""{"model":"per_unit"}""", "", 422, "charge.unit_amount")]
    [InlineData("""{"model":"per_unit","unit_amount":"-0.1"}""", "", 422, "charge.unit_amount")]
    [InlineData("""{"model":"per_unit","unit_amount":"1","minimum_amount":"2","maximum_amount":"1"}""", "", 422, "charge.maximum_amount")]
    [InlineData("""{"model":"per_unit","unit_amount":"1","minimum_amount":"-2"}""", "", 422, "charge.minimum_amount")]
    [InlineData("""{"model":"per_unit","unit_amount":"1","free_units":"-2"}""", "", 422, "charge.free_units")]
    [InlineData("""{"model":"graduated"}""", "", 422, "charge.tiers")]
    [InlineData("""{"model":"graduated","tiers":[]}""", "", 422, "charge.tiers")]
    [InlineData("""{"model":"graduated","tiers":[{"up_to":"10","unit_amount":"1"},{"up_to":"5","unit_amount":"1"},{"up_to":null,"unit_amount":"1"}]}""", "", 422, "charge.tiers[1].up_to")]
    [InlineData("""{"model":"graduated","tiers":[{"up_to":"10","unit_amount":"1"},{"up_to":"10","unit_amount":"1"},{"up_to":null,"unit_amount":"1"}]}""", "", 422, "charge.tiers[1].up_to")]
    [InlineData("""{"model":"graduated","tiers":[{"up_to":null,"unit_amount":"1"},{"up_to":null,"unit_amount":"1"}]}""", "", 422, "charge.tiers[0].up_to")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":"10","unit_amount":"1"},{"up_to":"20","unit_amount":"1"}]}""", "", 422, "charge.tiers[1].up_to")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":"0","unit_amount":"1"},{"up_to":null,"unit_amount":"1"}]}""", "", 422, "charge.tiers[0].up_to")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":null,"unit_amount":"-1"}]}""", "", 422, "charge.tiers[0].unit_amount")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":null,"unit_amount":"1","flat_amount":"-1"}]}""", "", 422, "charge.tiers[0].flat_amount")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":null}]}""", "", 422, "charge.tiers[0].unit_amount")]
    [InlineData("""{"model":"volume","tiers":[{"up_to":null,"unit_amount":"1","rate":"1"}]}""", "", 422, "charge.tiers[0].rate")]
    [InlineData("""{"model":"package","package_size":"-1","package_amount":"1"}""", "", 422, "charge.package_size")]
    [InlineData("""{"model":"package","package_size":"0","package_amount":"1"}""", "", 422, "charge.package_size")]
    [InlineData("""{"model":"package","package_size":"1"}""", "", 422, "charge.package_amount")]
    [InlineData("""{"model":"package","package_size":"1","package_amount":"1","package_rounding":"half"}""", "", 400, "charge.package_rounding")]
    [InlineData("""{"model":"percentage"}""", "", 422, "charge.rate")]
    [InlineData("""{"model":"percentage","rate":"1.3"}""", "", 422, "charge.rate")]
    [InlineData("""{"model":"percentage","rate":"0.1","free_events":-1}""", "", 422, "charge.free_events")]
    [InlineData("""{"model":"percentage","rate":"0.1","per_event_minimum":"2","per_event_maximum":"1"}""", "", 422, "charge.per_event_maximum")]
    [InlineData("""{"model":"percentage","rate":"0.1"}""", ""","events":[{"multiplier":"1"}]""", 422, "events[0].amount")]
    [InlineData("""{"model":"percentage","rate":"0.1"}""", ""","events":[{"amount":"1"},{"amount":"-1"}]""", 422, "events[1].amount")]
    [InlineData("""{"model":"percentage","rate":"0.1"}""", ""","events":[{"amount":"1"}],"already_billed_quantity":"1" """, 422, "already_billed_amount")]
    [InlineData("""{"model":"graduated_percentage","tiers":[{"up_to":null,"unit_amount":"1"}]}""", "", 422, "charge.tiers[0].rate")]
    [InlineData("""{"model":"graduated_percentage","tiers":[{"up_to":null,"rate":"-0.1"}]}""", "", 422, "charge.tiers[0].rate")]
    [InlineData("""{"model":"dynamic"}""", ""","events":[{"multiplier":"2"}]""", 422, "events[0].amount")]
    [InlineData("""{"model":"dynamic"}""", ""","events":[{"amount":"2","count":0}]""", 422, "events[0].count")]
    [InlineData("""{"model":"windowed_commitment","unit_amount":"1"}""", Windows, 422, "charge.window")]
    [InlineData("""{"model":"windowed_commitment","window":"week","unit_amount":"1"}""", Windows, 400, "charge.window")]
    [InlineData("""{"model":"windowed_commitment","window":"hour"}""", Windows, 422, "charge.unit_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","bands":[{"from":"00:00","to":"24:00","unit_amount":"1"}]}""", Windows, 422, "charge.unit_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","bands":[{"from":"08:00","to":"24:00","unit_amount":"1"}]}""", Windows, 422, "charge.bands[0].from")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","bands":[{"from":"00:00","to":"24:00","unit_amount":"-1"}]}""", Windows, 422, "charge.bands[0].unit_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","bands":[{"from":"8","to":"24:00","unit_amount":"1"}]}""", Windows, 400, "charge.bands[0].from")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","committed_quantity":"0"}""", Windows, 422, "charge.committed_quantity")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","committed_quantity":"1","committed_amount":"1"}""", Windows, 422, "charge.committed_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","committed_quantity":"1","overage_factor":"0.9"}""", Windows, 422, "charge.overage_factor")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","overage_factor":"1.5"}""", Windows, 422, "charge.overage_factor")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"2","committed_quantity":"1","overage_unit_amount":"1"}""", Windows, 422, "charge.overage_unit_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"2","committed_amount":"1","overage_unit_amount":"3"}""", Windows, 422, "charge.overage_unit_amount")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","true_up":"period"}""", Windows, 422, "charge.true_up")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1","free_units":"1"}""", Windows, 422, "charge.free_units")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", ""","time_zone":"Etc/UTC" """, 422, "windows")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", ""","windows":[{"start":"2027-03-01T00:00:00Z","quantity":"1"}]""", 422, "time_zone")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", ""","windows":[{"start":"2027-03-01T00:00:00Z","quantity":"1"}],"time_zone":"Mars/Olympus" """, 422, "time_zone")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", Windows + ""","from":"2027-03-02T00:00:00Z" """, 422, "windows[0].start")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", Windows + ""","from":"2027-03-01T00:00:00Z","to":"2027-03-01T00:00:00Z" """, 422, "to")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", Windows + ""","to":"2029-03-01T00:00:00Z" """, 422, "to")]
    [InlineData("""{"model":"windowed_commitment","window":"hour","unit_amount":"1"}""", Windows + ""","already_billed_quantity":"1" """, 422, "already_billed_amount")]
    [InlineData("""{"model":"per_unit","unit_amount":"1","committed_quantity":"1"}""", "", 422, "charge.committed_quantity")]
    [InlineData("""{"model":"flat","amount":"1"}""", ""","quantity":"-1" """, 422, "quantity")]
    [InlineData("""{"model":"flat","amount":"1"}""", ""","already_billed_quantity":"-1" """, 422, "already_billed_quantity")]
    [InlineData("""{"model":"flat","amount":"1"}""", ""","already_billed_amount":"-1" """, 422, "already_billed_amount")]
    [InlineData("""{"model":"per_unit","unit_amount":"999999999"}""", ""","quantity":"999999999999999" """, 422, "quantity")]
    public async Task What_makes_no_sense_is_named(string charge, string rest, int status, string field)
    {
        var answer = await billing.Operator.Post("/v1/rating/preview", $$"""{"currency":"USD","charge":{{charge}}{{rest}}}""");

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
    }
}
