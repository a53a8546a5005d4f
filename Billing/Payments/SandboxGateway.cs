using Npgsql;
using Platform.Contracts;

namespace Platform.Billing.Payments;

/// <summary>
/// Stands for a gateway: its token says how a charge ends and how a refund of it does, and its books survive our crashes like another
/// company's would. What ends pending ends only when the gateway's webhook says how.
/// </summary>
public sealed class SandboxGateway(BillingDatabase database) : IPaymentGateway
{
    private static readonly Ending succeeds = new(new(ChargeOutcome.Succeeded));
    private static readonly Ending pends = new(new(ChargeOutcome.Pending));

    private static readonly Dictionary<string, (Ending Charge, Ending Refund)> tokens = new()
    {
        ["tok_success"] = (succeeds, succeeds),
        ["tok_decline"] = (new(new(ChargeOutcome.Declined, "insufficient_funds")), succeeds),
        ["tok_timeout"] = (succeeds with { AnswerIsLost = true }, succeeds),
        ["tok_timeout_decline"] = (new(new(ChargeOutcome.Declined, "card_expired"), AnswerIsLost: true), succeeds),
        ["tok_pending"] = (pends, succeeds),
        ["tok_refund_decline"] = (succeeds, new(new(ChargeOutcome.Declined, "account_closed"))),
        ["tok_refund_timeout"] = (succeeds, succeeds with { AnswerIsLost = true }),
        ["tok_refund_pending"] = (succeeds, pends),
    };

    public string Name => "sandbox";

    public bool Knows(string token) => tokens.ContainsKey(token);

    /// <exception cref="TimeoutException">The charge was made, but its answer is lost.</exception>
    public Task<GatewayAnswer> Charge(PaymentId payment, string token, Money amount, CancellationToken cancellation)
    {
        var ending = tokens[token].Charge;
        return Make(
            "insert into billing.sandbox_charges (payment_id, token, currency, amount, outcome, code) values ($1, $2, $3, $4, $5, $6)",
            [Sql.P(payment.Value), Sql.P(token)], amount, ending, () => Find(payment, cancellation), cancellation);
    }

    public Task<GatewayAnswer?> Find(PaymentId payment, CancellationToken cancellation) =>
        Answer("select outcome, code from billing.sandbox_charges where payment_id = $1", payment.Value, cancellation);

    /// <exception cref="TimeoutException">The refund was made, but its answer is lost.</exception>
    public async Task<GatewayAnswer> Refund(RefundId refund, PaymentId payment, Money amount, CancellationToken cancellation)
    {
        var charged = await database.ReadAllTenants(
            "select token from billing.sandbox_charges where payment_id = $1", row => row.GetString(0), cancellation, Sql.P(payment.Value));
        return await Make(
            "insert into billing.sandbox_refunds (refund_id, payment_id, currency, amount, outcome, code) values ($1, $2, $3, $4, $5, $6)",
            [Sql.P(refund.Value), Sql.P(payment.Value)], amount, tokens[charged.Single()].Refund, () => FindRefund(refund, cancellation),
            cancellation);
    }

    public Task<GatewayAnswer?> FindRefund(RefundId refund, CancellationToken cancellation) =>
        Answer("select outcome, code from billing.sandbox_refunds where refund_id = $1", refund.Value, cancellation);

    private async Task<GatewayAnswer> Make(
        string insert, NpgsqlParameter[] what, Money amount, Ending ending, Func<Task<GatewayAnswer?>> find, CancellationToken cancellation)
    {
        var made = false;
        await database.WriteShared(
            async connection =>
            {
                await using var command = connection.Command(
                    $"{insert} on conflict do nothing",
                    [
                        .. what, Sql.P(amount.Currency.Code), Sql.P(amount.MinorUnits), Sql.P(ending.Answer.Outcome.ToString()),
                        Sql.Optional(ending.Answer.Code),
                    ]);
                made = await command.ExecuteNonQueryAsync(cancellation) == 1;
            },
            cancellation);
        return made && ending.AnswerIsLost
            ? throw new TimeoutException("The sandbox gateway did not answer in time.")
            : (await find())!;
    }

    private async Task<GatewayAnswer?> Answer(string select, Guid id, CancellationToken cancellation) =>
        (await database.ReadAllTenants(
            select, row => new GatewayAnswer(Enum.Parse<ChargeOutcome>(row.GetString(0)), row.Text(1)), cancellation, Sql.P(id)))
        .SingleOrDefault();

    private sealed record Ending(GatewayAnswer Answer, bool AnswerIsLost = false);
}
