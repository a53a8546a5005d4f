using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// One open transaction of several tenants that share a lane, and that it holds: they are committed together or not at all. Row-level
/// security shows and accepts the rows of all of them, so a statement that means one tenant's rows names the tenant, or of one where the
/// transaction was narrowed to it (<see cref="Narrow"/>).
/// </summary>
public sealed class LaneTransaction
{
    private readonly Database database;
    private readonly InlineProjections inline;
    private readonly short lane;

    internal LaneTransaction(
        IReadOnlyList<Guid> tenantIds, Cause cause, NpgsqlConnection connection, Database database, EventRows rows, Serializer serializer,
        InlineProjections inline)
    {
        Connection = connection;
        (this.database, this.inline, lane) = (database, inline, database.LaneOf(tenantIds[0]));
        Visible = Visibility(tenantIds);
        Tenants = [.. tenantIds.Select(tenant => new EventTransaction(tenant, cause, this, rows, serializer))];
    }

    /// <summary>For tables of the caller's own; commands on it run in this transaction.</summary>
    public NpgsqlConnection Connection { get; }

    /// <summary>The part of each tenant, in the order in which they were given.</summary>
    public IReadOnlyList<EventTransaction> Tenants { get; }

    private string Visible { get; }

    /// <summary>
    /// What follows in the transaction sees and writes this tenant's rows alone, until it is narrowed to another one, widened, or appends
    /// events. Where many statements are of one tenant it is also cheaper: each compares with all tenants that are shown.
    /// </summary>
    public void Narrow(RoundTrip together, EventTransaction tenant) => Show(together, Visibility([tenant.TenantId]));

    /// <summary>What follows sees and writes the rows of all tenants again.</summary>
    public void Widen(RoundTrip together) => Show(together, Visible);

    private void Show(RoundTrip together, string tenants)
    {
        if (Tenants.Count > 1)
            together.Ask(Database.ShowTenants, (_, _) => Task.FromResult(true), Database.Text(tenants));
    }

    /// <summary>Appends to streams of several tenants at once, with what each has published until then.</summary>
    /// <exception cref="VersionConflictException">A stream is not at its expected version.</exception>
    public Task Append(
        IReadOnlyList<(EventTransaction Tenant, IReadOnlyList<StreamAppend> Appends)> appends, CancellationToken cancellation) =>
        appends.Count == 0
            ? Task.CompletedTask
            : Append([.. appends.Select(it => it.Tenant.Prepare(it.Appends))], cancellation);

    /// <summary>How the setting of row-level security names tenants.</summary>
    internal static string Visibility(IReadOnlyList<Guid> tenantIds) => $"{{{string.Join(',', tenantIds)}}}";

    internal async Task<LanePosition> Append(PreparedWrite[] writes, CancellationToken cancellation)
    {
        var answer = await AppendCommand.Execute(Connection, database, [lane], writes, AppendMode.Within, Visible);
        if (answer.Failed is [var failed, ..])
            throw answer.Conflict(failed);

        var positions = answer.Positions(database, writes);
        if (writes.Any(inline.Folds))
            await inline.Apply(writes, positions, answer, Connection, cancellation);
        return positions[^1]!.Value;
    }

    internal async Task WriteMessages(CancellationToken cancellation)
    {
        PreparedWrite[] left = [.. Tenants.Where(tenant => tenant.HasMessages).Select(tenant => tenant.Prepare([]))];
        if (left.Length > 0)
            await Append(left, cancellation);
    }
}
