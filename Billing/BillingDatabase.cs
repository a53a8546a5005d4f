using System.Runtime.CompilerServices;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing;

/// <summary>
/// Reads of this process's own tables outside of an event transaction. A tenant's reads run in the application's role under
/// row-level security; reads over all tenants name themselves.
/// </summary>
public sealed class BillingDatabase(string applicationConnection, string systemConnection) : IAsyncDisposable
{
    public const string Schema = "billing";
    public const string ApplicationRole = "billing_app";
    public const string SystemRole = "billing_system";

    private const int DefaultTimeoutSeconds = 30;

    private readonly NpgsqlDataSource application = PreparedConnections.Source(applicationConnection);
    private readonly NpgsqlDataSource system = PreparedConnections.Source(systemConnection);

    /// <summary>Rows of one tenant.</summary>
    public async Task<IReadOnlyList<T>> Read<T>(
        TenantId tenant, string sql, Func<NpgsqlDataReader, T> row, CancellationToken cancellation,
        params NpgsqlParameter[] parameters)
    {
        var rows = new List<T>();
        await foreach (var each in Stream(tenant, sql, row, DefaultTimeoutSeconds, parameters, cancellation))
            rows.Add(each);
        return rows;
    }

    /// <summary>Several reads of one tenant, each of which may build on the one before.</summary>
    public async Task<T> Read<T>(TenantId tenant, Func<NpgsqlConnection, Task<T>> read, CancellationToken cancellation)
    {
        await using var connection = await application.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using var scope = connection.Command("select set_config('platform.tenants', $1, true)", Sql.P($"{{{tenant}}}"));
        await scope.ExecuteNonQueryAsync(cancellation);
        return await read(connection);
    }

    /// <summary>Rows of one tenant as they come, however many: only the connection's buffer holds any, and no time limit ends it.</summary>
    public IAsyncEnumerable<T> Stream<T>(
        TenantId tenant, string sql, Func<NpgsqlDataReader, T> row, CancellationToken cancellation,
        params NpgsqlParameter[] parameters) =>
        Stream(tenant, sql, row, timeoutSeconds: 0, parameters, cancellation);

    /// <summary>Rows of all tenants, in the role of background work.</summary>
    public async Task<IReadOnlyList<T>> ReadAllTenants<T>(
        string sql, Func<NpgsqlDataReader, T> row, CancellationToken cancellation, params NpgsqlParameter[] parameters)
    {
        await using var command = system.CreateCommand(sql);
        command.Parameters.AddRange(parameters);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await All(reader, row, cancellation);
    }

    /// <summary>
    /// Holds a name against everybody else, in whatever process, until it is disposed of or this process ends. It holds a connection
    /// as long.
    /// </summary>
    /// <returns>Null where somebody else holds it.</returns>
    public async Task<IAsyncDisposable?> TryHold(string name, CancellationToken cancellation)
    {
        var connection = await application.OpenConnectionAsync(cancellation);
        var hold = new Hold(connection, await connection.BeginTransactionAsync(cancellation));
        await using var command = connection.Command("select pg_try_advisory_xact_lock(hashtextextended($1, 0))", Sql.P(name));
        if ((bool)(await command.ExecuteScalarAsync(cancellation))!)
            return hold;

        await hold.DisposeAsync();
        return null;
    }

    /// <summary>One transaction in the role of background work, for the tables that belong to no tenant.</summary>
    public async Task WriteShared(Func<NpgsqlConnection, Task> work, CancellationToken cancellation)
    {
        await using var connection = await system.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await work(connection);
        await transaction.CommitAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await application.DisposeAsync();
        await system.DisposeAsync();
    }

    private async IAsyncEnumerable<T> Stream<T>(
        TenantId tenant, string sql, Func<NpgsqlDataReader, T> row, int timeoutSeconds, NpgsqlParameter[] parameters,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var connection = await application.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using var batch = new NpgsqlBatch(connection, transaction) { Timeout = timeoutSeconds };
        batch.BatchCommands.Add(new("select set_config('platform.tenants', $1, true)")
        {
            Parameters = { new() { Value = $"{{{tenant}}}" } },
        });
        var query = new NpgsqlBatchCommand(sql);
        query.Parameters.AddRange(parameters);
        batch.BatchCommands.Add(query);

        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        await reader.NextResultAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            yield return row(reader);
    }

    private sealed class Hold(NpgsqlConnection connection, NpgsqlTransaction transaction) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await transaction.DisposeAsync();
            await connection.DisposeAsync();
        }
    }

    private static async Task<IReadOnlyList<T>> All<T>(
        NpgsqlDataReader reader, Func<NpgsqlDataReader, T> row, CancellationToken cancellation)
    {
        var rows = new List<T>();
        while (await reader.ReadAsync(cancellation))
            rows.Add(row(reader));
        return rows;
    }
}

public static class Sql
{
    extension(NpgsqlConnection connection)
    {
        /// <summary>A command with positional parameters in the connection's running transaction.</summary>
        public NpgsqlCommand Command(string sql, params NpgsqlParameter[] parameters)
        {
            var command = new NpgsqlCommand(sql, connection);
            command.Parameters.AddRange(parameters);
            return command;
        }
    }

    extension(NpgsqlDataReader reader)
    {
        public Instant Instant(int column) => NodaTime.Instant.FromDateTimeUtc(reader.GetDateTime(column));

        public Instant[] Instants(int column) =>
            [.. reader.GetFieldValue<DateTime[]>(column).Select(NodaTime.Instant.FromDateTimeUtc)];

        public string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }

    public static NpgsqlParameter P(Guid value) => new NpgsqlParameter<Guid> { TypedValue = value };
    public static NpgsqlParameter P(long value) => new NpgsqlParameter<long> { TypedValue = value };
    public static NpgsqlParameter P(decimal value) => new NpgsqlParameter<decimal> { TypedValue = value };
    public static NpgsqlParameter P(int value) => new NpgsqlParameter<int> { TypedValue = value };
    public static NpgsqlParameter P(string value) => new NpgsqlParameter<string> { TypedValue = value };
    public static NpgsqlParameter P(Guid[] value) => new NpgsqlParameter<Guid[]> { TypedValue = value };
    public static NpgsqlParameter P(Guid?[] value) => new NpgsqlParameter<Guid?[]> { TypedValue = value };
    public static NpgsqlParameter P(long[] value) => new NpgsqlParameter<long[]> { TypedValue = value };
    public static NpgsqlParameter P(int[] value) => new NpgsqlParameter<int[]> { TypedValue = value };
    public static NpgsqlParameter P(string[] value) => new NpgsqlParameter<string[]> { TypedValue = value };
    public static NpgsqlParameter P(bool[] value) => new NpgsqlParameter<bool[]> { TypedValue = value };
    public static NpgsqlParameter P(Instant[] value) =>
        new NpgsqlParameter<DateTime[]> { TypedValue = [.. value.Select(it => it.ToDateTimeUtc())] };
    public static NpgsqlParameter P(Instant value) => new NpgsqlParameter<DateTime> { TypedValue = value.ToDateTimeUtc() };

    /// <summary>A value that may be absent.</summary>
    public static NpgsqlParameter Optional(Guid? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid };
    public static NpgsqlParameter Optional(long? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint };
    public static NpgsqlParameter Optional(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };
    public static NpgsqlParameter Optional(Instant? value) =>
        new() { Value = (object?)value?.ToDateTimeUtc() ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.TimestampTz };
    public static NpgsqlParameter Json(string value) => new() { Value = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Jsonb };
}
