using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Rating;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Ledger;

/// <summary>One posting of the tenant's books.</summary>
/// <param name="Position">Grows with every posting of the tenant; not every number is one.</param>
/// <param name="EventType">The event that it was made from: <c>invoice.finalized.v1</c>.</param>
/// <param name="SubjectType">What the event is about: <c>invoice</c>.</param>
/// <param name="Entries">Debits and credits; in each currency they are equal.</param>
public sealed record LedgerPosting(
    long Position, string EventType, string SubjectType, Guid SubjectId, Instant At, IReadOnlyList<LedgerPosting.PostedEntry> Entries)
{
    /// <param name="Kind">The kind of line, where the account is kept by it.</param>
    /// <param name="Amount">Above zero.</param>
    /// <param name="ProductId">What was sold; absent on other accounts, and where that is not told apart.</param>
    public sealed record PostedEntry(
        Account Account, LineKind? Kind, Side Side, Money Amount,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null);

    public enum Side
    {
        Debit,
        Credit,
    }

    public static void Map(RouteGroupBuilder ledger) => ledger.MapGet("/postings", List).WithName("ListPostings");

    private static async Task<Ok<Page<LedgerPosting>>> List(
        [AsParameters] PageQuery page, Guid? subject_id, Caller caller, BillingDatabase database, CancellationToken cancellation)
    {
        var rows = await database.Read(
            caller.TenantId,
            """
            select posting.position, posting.event_type, posting.stream_type, posting.stream_id, posting.at,
                   array_agg(entry.account order by entry.place), array_agg(entry.kind order by entry.place),
                   array_agg(entry.currency order by entry.place), array_agg(entry.amount order by entry.place),
                   array_agg(entry.product_id order by entry.place)
            from (
                select * from billing.ledger_postings
                where tenant_id = $1 and position > $2 and ($4 is null or stream_id = $4) order by position limit $3
            ) posting
            join billing.ledger_entries entry using (tenant_id, position)
            group by posting.position, posting.event_type, posting.stream_type, posting.stream_id, posting.at
            order by posting.position
            """,
            row => new LedgerPosting(
                row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetGuid(3), row.Instant(4), [.. EntriesOf(row)]),
            cancellation,
            Sql.P(caller.TenantId.Value), Sql.P(page.AfterPosition), Sql.P(page.Size + 1), Sql.Optional(subject_id));
        return TypedResults.Ok(page.Of(rows, row => PositionCursor.Of(row.Position)));
    }

    private static IEnumerable<PostedEntry> EntriesOf(NpgsqlDataReader row)
    {
        var (accounts, kinds) = (row.GetFieldValue<string[]>(5), row.GetFieldValue<string[]>(6));
        var (currencies, amounts, products) =
            (row.GetFieldValue<string[]>(7), row.GetFieldValue<long[]>(8), row.GetFieldValue<Guid?[]>(9));
        return accounts.Select((account, at) => new PostedEntry(
            LedgerEntries.AccountNamed(account), LedgerEntries.KindNamed(kinds[at]), amounts[at] > 0 ? Side.Debit : Side.Credit,
            new(Math.Abs(amounts[at]), Currency.Parse(currencies[at])), products[at] is { } product ? new(product) : null));
    }
}
