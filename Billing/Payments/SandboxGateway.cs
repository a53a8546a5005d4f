using Platform.Contracts;

namespace Platform.Billing.Payments;

/// <summary>
/// Stands for a gateway: its token says how a charge ends, and its books survive our crashes like another company's would. A charge of
/// <c>tok_pending</c> ends only when the gateway's webhook says how.
/// </summary>
public sealed class SandboxGateway(BillingDatabase database) : IPaymentGateway
{
    private static readonly Dictionary<string, (GatewayAnswer Ends, bool AnswerIsLost)> tokens = new()
    {
        ["tok_success"] = (new(ChargeOutcome.Succeeded), AnswerIsLost: false),
        ["tok_decline"] = (new(ChargeOutcome.Declined, "insufficient_funds"), AnswerIsLost: false),
        ["tok_timeout"] = (new(ChargeOutcome.Succeeded), AnswerIsLost: true),
        ["tok_timeout_decline"] = (new(ChargeOutcome.Declined, "card_expired"), AnswerIsLost: true),
        ["tok_pending"] = (new(ChargeOutcome.Pending), AnswerIsLost: false),
    };

    public string Name => "sandbox";

    public bool Knows(string token) => tokens.ContainsKey(token);

    /// <exception cref="TimeoutException">The charge was made, but its answer is lost.</exception>
    public async Task<GatewayAnswer> Charge(PaymentId payment, string token, Money amount, CancellationToken cancellation)
    {
        var (ends, answerIsLost) = tokens[token];
        var made = false;
        await database.WriteShared(
            async connection =>
            {
                await using var charge = connection.Command(
                    """
                    insert into billing.sandbox_charges (payment_id, token, currency, amount, outcome, code)
                    values ($1, $2, $3, $4, $5, $6) on conflict (payment_id) do nothing
                    """,
                    Sql.P(payment.Value), Sql.P(token), Sql.P(amount.Currency.Code), Sql.P(amount.MinorUnits),
                    Sql.P(ends.Outcome.ToString()), Sql.Optional(ends.Code));
                made = await charge.ExecuteNonQueryAsync(cancellation) == 1;
            },
            cancellation);
        return made && answerIsLost
            ? throw new TimeoutException("The sandbox gateway did not answer in time.")
            : (await Find(payment, cancellation))!;
    }

    public async Task<GatewayAnswer?> Find(PaymentId payment, CancellationToken cancellation) =>
        (await database.ReadAllTenants(
            "select outcome, code from billing.sandbox_charges where payment_id = $1",
            row => new GatewayAnswer(Enum.Parse<ChargeOutcome>(row.GetString(0)), row.Text(1)),
            cancellation,
            Sql.P(payment.Value))).SingleOrDefault();
}
