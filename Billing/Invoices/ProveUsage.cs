using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
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
                && await Event(connection, caller.TenantId, source!, event_id!, cancellation) is var (type, time, position)
                    ? await tree.Locate(connection, caller.TenantId, type, time, position, cancellation)
                    : null,
            cancellation);
        return found is { Leaf: var leaf }
            ? TypedResults.Ok(new UsageProof(
                id, leaf.Source, leaf.Id, leaf.BilledBefore, leaf.Corrections, Convert.ToHexStringLower(leaf.Hash()),
                found.Part, found.Index, [.. found.Path.Select(Convert.ToHexStringLower)],
                found.PartIndex, found.PartCount, [.. found.PartPath.Select(Convert.ToHexStringLower)], head.Size, head.Root))
            : Problems.NotFound("usage_event");
    }

    private static bool IsName(string? text) => text is { Length: >= 1 and <= 200 } && !text.Any(char.IsControl);

    private static async Task<(string Type, Instant Time, long Position)?> Event(
        NpgsqlConnection connection, TenantId tenant, string source, string id, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            "select type, time, position from billing.usage_events where tenant_id = $1 and source = $2 and id = $3",
            Sql.P(tenant.Value), Sql.P(source), Sql.P(id));
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) ? (row.GetString(0), row.Instant(1), row.GetInt64(2)) : null;
    }
}
