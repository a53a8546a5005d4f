using System.Text.Json;
using Platform.Billing.Rating;
using Platform.EventStore;

namespace Platform.Billing.Ledger;

/// <summary>The books: each posting with its entries, and the balance of each account, in the transaction of the event.</summary>
public sealed class LedgerEntries : Projection
{
    public const string PostingsTable = "ledger_postings";
    public const string EntriesTable = "ledger_entries";
    public const string BalancesTable = "ledger_balances";

    public override string Name => EntriesTable;

    public override IReadOnlyList<string> Tables => [PostingsTable, EntriesTable, BalancesTable];

    public override bool Folds(Type eventType) => Postings.Sources.Contains(eventType);

    public override Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        List<Posted> postings = [];
        foreach (var recorded in page)
        {
            if (Postings.Of(recorded.Data) is { } posting)
                postings.Add(new(recorded, posting));
        }

        if (postings.Count > 0)
        {
            InsertPostings(tables, postings);
            InsertEntries(tables, postings);
            MoveBalances(tables, postings);
        }

        return Task.CompletedTask;
    }

    public static Account AccountNamed(string name) =>
        Enum.Parse<Account>(name.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);

    public static LineKind? KindNamed(string name) =>
        name.Length == 0 ? null : Enum.Parse<LineKind>(name.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);

    private static void InsertPostings(ProjectionTables tables, IReadOnlyList<Posted> postings) => tables.Write(
        $"""
        insert into {tables.Qualify(PostingsTable)} (tenant_id, position, event_type, stream_type, stream_id, at)
        select * from unnest($1, $2, $3, $4, $5, $6)
        """,
        Sql.P([.. postings.Select(it => it.Event.Stream.TenantId)]), Sql.P([.. postings.Select(it => it.Event.Position.Number)]),
        Sql.P([.. postings.Select(it => it.Event.TypeName)]), Sql.P([.. postings.Select(it => it.Event.Stream.Type)]),
        Sql.P([.. postings.Select(it => it.Event.Stream.Id)]), Sql.P([.. postings.Select(it => it.Posting.At)]));

    private static void InsertEntries(ProjectionTables tables, IReadOnlyList<Posted> postings)
    {
        var entries = postings
            .SelectMany(it => it.Posting.Entries.Select((entry, index) => (it.Event, Place: index + 1, Entry: entry)))
            .ToList();
        tables.Write(
            $"""
            insert into {tables.Qualify(EntriesTable)} (tenant_id, position, place, account, kind, currency, amount, product_id)
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            Sql.P([.. entries.Select(it => it.Event.Stream.TenantId)]), Sql.P([.. entries.Select(it => it.Event.Position.Number)]),
            Sql.P([.. entries.Select(it => it.Place)]), Sql.P([.. entries.Select(it => NameOf(it.Entry.Account))]),
            Sql.P([.. entries.Select(it => NameOf(it.Entry.Kind))]), Sql.P([.. entries.Select(it => it.Entry.Amount.Currency.Code)]),
            Sql.P([.. entries.Select(it => it.Entry.Amount.MinorUnits)]), Sql.P([.. entries.Select(it => it.Entry.ProductId?.Value)]));
    }

    // One row per balance: a statement cannot change a row twice.
    private static void MoveBalances(ProjectionTables tables, IReadOnlyList<Posted> postings)
    {
        var moved = postings
            .SelectMany(it => it.Posting.Entries, (it, entry) => (it.Event.Stream.TenantId, Entry: entry))
            .GroupBy(
                it => (it.TenantId, it.Entry.Account, it.Entry.Kind, it.Entry.Amount.Currency), it => it.Entry.Amount.MinorUnits)
            .ToList();
        tables.Write(
            $"""
            insert into {tables.Qualify(BalancesTable)} as balance (tenant_id, account, kind, currency, debit, credit)
            select * from unnest($1, $2, $3, $4, $5, $6)
            on conflict (tenant_id, account, kind, currency) do update
            set debit = balance.debit + excluded.debit, credit = balance.credit + excluded.credit
            """,
            Sql.P([.. moved.Select(it => it.Key.TenantId)]), Sql.P([.. moved.Select(it => NameOf(it.Key.Account))]),
            Sql.P([.. moved.Select(it => NameOf(it.Key.Kind))]), Sql.P([.. moved.Select(it => it.Key.Currency.Code)]),
            Sql.P([.. moved.Select(it => it.Sum(amount => Math.Max(amount, 0)))]),
            Sql.P([.. moved.Select(it => it.Sum(amount => Math.Max(-amount, 0)))]));
    }

    private static string NameOf(Account account) => JsonNamingPolicy.SnakeCaseLower.ConvertName(account.ToString());

    // Part of a key, where an absent kind is an empty one.
    private static string NameOf(LineKind? kind) => kind is { } it ? JsonNamingPolicy.SnakeCaseLower.ConvertName(it.ToString()) : "";

    private sealed record Posted(RecordedEvent Event, Posting Posting);
}
