using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.RegularExpressions;
using NodaTime;
using Npgsql;

namespace Platform.EventStore;

/// <summary>The two ways into one schema (application role, system role), its lanes and their locks.</summary>
internal sealed partial class Database : IAsyncDisposable
{
    /// <summary>
    /// Takes the lane (parameters: the tenants that row-level security shall show, lock space, lane). Always a statement of
    /// its own before any other: what follows must read with a snapshot taken after the lock was granted.
    /// </summary>
    public const string TakeLane = "select set_config('platform.tenants', $1, true), pg_advisory_xact_lock($2, $3)";

    /// <summary>
    /// Takes the tenant, and its lane together with others who do so: for who writes no events (the same parameters; one tenant).
    /// </summary>
    public const string ShareLane =
        "select set_config('platform.tenants', $1, true), pg_advisory_xact_lock_shared($2, $3), pg_advisory_xact_lock(hashtextextended($1, $2))";

    /// <summary>
    /// The same as <see cref="TakeLane"/> for several, in ascending order, with the longest wait for one of them: none shall be kept waiting
    /// for a long transaction in another.
    /// </summary>
    public const string TakeLanes =
        """
        select set_config('platform.tenants', $1, true), set_config('lock_timeout', $4, true),
               (select count(pg_advisory_xact_lock($2, lane)) from unnest($3) lane)
        """;

    /// <summary>Which tenants row-level security shows from here on.</summary>
    public const string ShowTenants = "select set_config('platform.tenants', $1, true)";

    // These reads find rows by their key, whatever the parameters: one plan does for all, and planning costs as much as reading.
    private const string ShowTenant =
        "select set_config('platform.tenants', $1, true), set_config('plan_cache_mode', 'force_generic_plan', true)";

    // As-of reads wait for the writers of the lane that are under way: their events may be dated before the instant.
    private const string ShowTenantSettled = "select set_config('platform.tenants', $1, true), pg_advisory_xact_lock_shared($2, $3)";

    private readonly AsyncLocal<bool> within = new();

    public Database(EventStoreOptions options)
    {
        RequireIdentifier(options.Schema);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Lanes, (short)1);
        Schema = options.Schema;
        Lanes = options.Lanes;
        LockSpace = StableHash(options.Schema);
        Application = PreparedConnections.Source(options.ApplicationConnection);
        Writers = new(Application);
        System = PreparedConnections.Source(options.SystemConnection);
        AppendSql = $"select * from {Schema}.append({string.Join(", ", Enumerable.Range(1, 33).Select(place => $"${place}"))})";
    }

    public string Schema { get; }
    public string AppendSql { get; }
    public short Lanes { get; }

    /// <summary>First half of the advisory keys, so that schemas do not wait for each other; the second is the lane.</summary>
    public int LockSpace { get; }

    public NpgsqlDataSource Application { get; }

    /// <summary>Those of <see cref="Application"/> that write.</summary>
    public WarmConnections Writers { get; }

    public NpgsqlDataSource System { get; }

    public IEnumerable<short> AllLanes => Enumerable.Range(0, Lanes).Select(lane => (short)lane);

    /// <summary>Stored with every event, so this function can never change for a schema that has events.</summary>
    public short LaneOf(Guid tenantId)
    {
        Span<byte> bytes = stackalloc byte[16];
        tenantId.TryWriteBytes(bytes, bigEndian: true, out _);
        var mixed = unchecked(
            (BinaryPrimitives.ReadUInt64BigEndian(bytes) ^ BinaryPrimitives.ReadUInt64BigEndian(bytes[8..])) * 0x9E3779B97F4A7C15);
        return (short)((mixed >> 32) % (ulong)Lanes);
    }

    /// <summary>A read of one tenant: one round trip, whose second result is the answer.</summary>
    public NpgsqlBatch TenantRead(Guid tenantId, string sql, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        Batch(new(ShowTenant) { Parameters = { Text($"{{{tenantId}}}") } }, sql, parameters);

    /// <summary>The same, after every writer that holds the tenant's lane has ended.</summary>
    public NpgsqlBatch SettledTenantRead(Guid tenantId, string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        RefuseWithinTransaction();
        return Batch(
            new(ShowTenantSettled) { Parameters = { Text($"{{{tenantId}}}"), Value(LockSpace), Value((int)LaneOf(tenantId)) } },
            sql, parameters);
    }

    /// <summary>True in a flow of execution that holds a lane's lock by <see cref="EventStore.Transact"/>.</summary>
    public bool WithinTransaction
    {
        get => within.Value;
        set => within.Value = value;
    }

    /// <summary>
    /// Asking for the lane's lock once more would wait for ever, and the database could not see it: it does not know that
    /// two connections are one caller.
    /// </summary>
    public void RefuseWithinTransaction()
    {
        if (WithinTransaction)
            throw new InvalidOperationException("Within a transaction use the transaction itself; the store would wait for its lock.");
    }

    /// <summary>
    /// After a lost connection: what else stands in the pools was most likely lost with it, and each would cost a caller
    /// one of its tries.
    /// </summary>
    public async ValueTask DropIdleConnections(Exception error)
    {
        if (!Faults.IsLostConnection(error))
            return;
        Application.Clear();
        System.Clear();
        await Writers.Clear();
    }

    /// <summary>Runs something that may be run twice, again when the database or the way to it failed for a moment.</summary>
    [SuppressMessage("Design", "CA1068", Justification = "The work comes last, so that it reads as a block.")]
    public async Task<T> Retry<T>(TimeProvider time, CancellationToken cancellation, Func<Task<T>> work)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await work();
            }
            catch (Exception error) when (
                attempt + 1 < Faults.AttemptsMax && (Faults.IsLostConnection(error) || Faults.IsTransient(error)))
            {
                await DropIdleConnections(error);
                await Task.Delay(Faults.Backoff(attempt), time, cancellation);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Writers.Clear();
        await Application.DisposeAsync();
        await System.DisposeAsync();
    }

    public static NpgsqlParameter Value<T>(T value) => new NpgsqlParameter<T> { TypedValue = value };

    public static NpgsqlParameter Text(string? value) => new NpgsqlParameter<string?> { TypedValue = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };

    public static NpgsqlParameter Instant(Instant value) => Value(value.ToDateTimeUtc());

    public static NpgsqlParameter Jsons(byte[][] value) =>
        new NpgsqlParameter<byte[][]> { TypedValue = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Jsonb };

    /// <summary>Names stand in SQL as they are; this keeps them plain.</summary>
    public static void RequireIdentifier(string name)
    {
        if (!Identifier().IsMatch(name))
            throw new ArgumentException($"'{name}' is not a plain snake_case name.", nameof(name));
    }

    private NpgsqlBatch Batch(NpgsqlBatchCommand first, string sql, ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var second = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
            second.Parameters.Add(parameter);
        var batch = Application.CreateBatch();
        batch.BatchCommands.Add(first);
        batch.BatchCommands.Add(second);
        return batch;
    }

    private static int StableHash(string text)
    {
        var hash = 2166136261u;
        foreach (var octet in Encoding.UTF8.GetBytes(text))
            hash = unchecked((hash ^ octet) * 16777619u);
        return unchecked((int)hash);
    }

    [GeneratedRegex("^[a-z_][a-z0-9_]{0,53}$")]
    private static partial Regex Identifier();
}
