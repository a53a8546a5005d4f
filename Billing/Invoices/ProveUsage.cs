using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// Proves to a tenant that an invoice counts an event, and with which corrections. <see cref="UsageProof.Verify"/> checks it against
/// the event as reported and the invoice alone.
/// </summary>
public static class ProveUsage
{
    public static void Map(RouteGroupBuilder invoices) =>
        invoices.MapGet("/{id}/usage-proof", Handle).WithName(nameof(ProveUsage));

    private static async Task<Results<Ok<UsageProof>, ProblemHttpResult>> Handle(
        InvoiceId id, string? source, string? event_id, Caller caller, Documents documents, BillingDatabase database,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(IsName(source), "source", "The event's source is needed.")
            .Require(IsName(event_id), "event_id", "The event's id is needed.")
            .ThrowIfAny();

        if (await InvoiceView.Find(documents, caller.TenantId, id, cancellation) is not { UsageTree: { } head })
            return Problems.NotFound("invoice");

        var found = await database.Read(
            caller.TenantId,
            async connection =>
                await UsageTree.Find(connection, caller.TenantId, id, cancellation) is { } tree
                && await Position(connection, caller.TenantId, source!, event_id!, cancellation) is { } position
                    ? await tree.Locate(connection, caller.TenantId, position, cancellation)
                    : null,
            cancellation);
        return found is var (leaf, index, path)
            ? TypedResults.Ok(new UsageProof(
                id, leaf.Source, leaf.Id, leaf.BilledBefore, leaf.Corrections, Convert.ToHexStringLower(leaf.Hash()), index, head.Size,
                [.. path.Select(Convert.ToHexStringLower)], head.Root))
            : Problems.NotFound("usage_event");
    }

    private static bool IsName(string? text) => text is { Length: >= 1 and <= 200 } && !text.Any(char.IsControl);

    private static async Task<long?> Position(
        NpgsqlConnection connection, TenantId tenant, string source, string id, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            "select position from billing.usage_events where tenant_id = $1 and source = $2 and id = $3",
            Sql.P(tenant.Value), Sql.P(source), Sql.P(id));
        return (long?)await command.ExecuteScalarAsync(cancellation);
    }
}
