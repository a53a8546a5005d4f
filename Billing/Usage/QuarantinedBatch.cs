using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>A batch that was not charged, for operators to look into.</summary>
/// <param name="Code">
/// <c>attempt_unknown</c> and <c>worker_unknown</c> wait for a message and are taken when it comes; the others stay.
/// </param>
/// <param name="TenantId">The tenant that the batch names, which may be wrong.</param>
public sealed record QuarantinedBatch(Guid Id, TenantId TenantId, string Code, Instant ReceivedAt, UsageReported Batch)
{
    public static void Map(RouteGroupBuilder usage) =>
        usage.MapGet("/quarantine", List).WithName("ListQuarantinedUsage").ForOperators();

    private static async Task<Ok<Page<QuarantinedBatch>>> List(
        [AsParameters] PageQuery page, string? code, Caller caller, BillingDatabase database, CancellationToken cancellation)
    {
        // An operator who acts for a tenant sees that tenant's, else everybody's.
        Guid? tenant = caller.TenantId == Contracts.TenantId.Operator ? null : caller.TenantId.Value;
        var rows = await database.ReadAllTenants(
            """
            select id, tenant_id, code, received_at, batch from billing.usage_quarantine
            where ($1 is null or tenant_id = $1) and ($2 is null or code = $2) and ($3 is null or id > $3)
            order by id limit $4
            """,
            row => new QuarantinedBatch(
                row.GetGuid(0), new(row.GetGuid(1)), row.GetString(2), row.Instant(3),
                JsonSerializer.Deserialize(row.GetString(4), Stored.Json<UsageReported>())!),
            cancellation,
            Sql.Optional(tenant), Sql.Optional(code), Sql.Optional(page.After), Sql.P(page.Size + 1));
        return TypedResults.Ok(page.Of(rows, row => row.Id));
    }
}
