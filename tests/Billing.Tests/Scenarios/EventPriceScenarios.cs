using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>Prices of single events.</summary>
public sealed class EventPriceScenarios(BillingHost billing)
{
    [Fact]
    public async Task Shares_of_sales_and_prices_that_messages_bring()
    {
        var acme = await Scenario.Begin(billing, "2027-02-01", "Europe/Berlin");
        var sales = new
        {
            model = "percentage",
            meter = await acme.Meter("sales", unit: "EUR"),
            display_name = "Commission on data sets",
            rate = "0.029",
            fixed_amount = "0.30",
            free_events = 2,
            per_event_minimum = "0.50",
            per_event_maximum = "25",
        };
        var messages = new
        {
            model = "dynamic",
            meter = await acme.Meter("messages", unit: "message"),
            display_name = "Messages",
            amount_property = "price",
            multiplier_property = "segments",
        };
        await acme.Subscribe(await acme.Plan("Market", fee: "10.00", [sales, messages]));

        // The sales of 2 and 3.50 are free; 4.99 owes 0.50, 2 x 100 owe 3.20 each, 19.90 owes 0.88 and 1200 owes 25.00: 32.78 in all.
        await acme.AdvanceTo("2027-02-20");
        foreach (var amount in new[] { "100", "2", "1200", "4.99", "100", "3.50", "19.90" })
            await acme.Use("sales", amount);

        // 3 of 0.065 and 2 of 0.0495 with 2 segments each: 0.393. One says nothing.
        foreach (var price in new[] { "0.065", "0.0495", "0.065", "0.0495", "0.065" })
            await acme.Use("messages", "1", also: price == "0.065" ? [("price", price)] : [("price", price), ("segments", "2")]);
        await acme.Use("messages", "1");
        await acme.AdvanceTo("2027-03-01");

        // Reported late, a sale of 1 is free instead of the one of 3.50, which now owes 0.50. The one of 1200 never happened.
        await acme.Use("sales", "1", at: "2027-02-28T12:00");
        await acme.Void("3");
        await acme.AdvanceTo("2027-04-01");

        await acme.Approved();
    }
}
