using System.Text.RegularExpressions;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

/// <summary>The names that people give to meters and plans, and that others refer to.</summary>
internal static partial class CatalogKeys
{
    public const string Rule = "1 to 100 lower-case letters, digits, dots, dashes and underscores, beginning with a letter.";

    public static bool IsValid(string key) => Shape().IsMatch(key);

    /// <summary>
    /// True where another document of the operator's has the key. Asked inside of the transaction that holds the operator's
    /// lane, so that nobody can take the key in between; a unique index stands behind it.
    /// </summary>
    public static async Task<bool> IsTaken(
        EventTransaction transaction, string table, string key, Guid except, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            $"select exists (select from billing.{table} where data ->> 'key' = $1 and id <> $2)", Sql.P(key), Sql.P(except));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Those of the ids that no document of the operator's has.</summary>
    public static async Task<IReadOnlyList<TId>> Unknown<TId, TView>(
        Documents documents, string table, IReadOnlyCollection<TId> ids, CancellationToken cancellation)
        where TId : struct, IId<TId> where TView : class
    {
        if (ids.Count == 0)
            return [];
        var known = await documents.List(
            TenantId.Operator.Value, table, Stored.Json<TView>(), ids.Count, after: null, newestFirst: false, cancellation, "id = any($1)",
            Sql.P([.. ids.Select(id => id.Value)]));
        return [.. ids.ExceptBy(known.Select(row => row.Id), id => id.Value)];
    }

    [GeneratedRegex("^[a-z][a-z0-9._-]{0,99}$")]
    private static partial Regex Shape();
}
