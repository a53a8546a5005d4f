using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// Statements that go to the database together, in order and in the connection's transaction: they cost one round trip, where each by
/// itself would cost one.
/// </summary>
public sealed class RoundTrip(NpgsqlConnection connection)
{
    private const int DefaultTimeoutSeconds = 30;

    private readonly List<NpgsqlBatchCommand> commands = [];
    private readonly List<Func<NpgsqlDataReader, CancellationToken, Task>> answers = [];

    /// <summary>Where it is sent.</summary>
    public NpgsqlConnection Connection => connection;

    /// <summary>How long all of it may take; 0 is as long as it takes.</summary>
    public int TimeoutSeconds { get; init; } = DefaultTimeoutSeconds;

    /// <summary>Adds a query; its answer is there once all were sent.</summary>
    public Answer<T> Ask<T>(
        string sql, Func<NpgsqlDataReader, CancellationToken, Task<T>> read, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var answer = new Answer<T>();
        Add(sql, parameters);
        answers.Add(async (reader, cancellation) => answer.Value = await read(reader, cancellation));
        return answer;
    }

    /// <summary>Adds a query of rows.</summary>
    public Answer<IReadOnlyList<T>> Rows<T>(string sql, Func<NpgsqlDataReader, T> row, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        Ask<IReadOnlyList<T>>(
            sql,
            async (reader, cancellation) =>
            {
                var rows = new List<T>();
                while (await reader.ReadAsync(cancellation))
                    rows.Add(row(reader));
                return rows;
            },
            parameters);

    /// <summary>Adds a statement without an answer: it has no <c>returning</c>.</summary>
    public void Write(string sql, params ReadOnlySpan<NpgsqlParameter> parameters) => Add(sql, parameters);

    /// <inheritdoc cref="Write(string, ReadOnlySpan{NpgsqlParameter})"/>
    public void Write(NpgsqlBatchCommand statement) => commands.Add(statement);

    /// <summary>Sends everything that was added since it was last sent, if anything was.</summary>
    public async Task Send(CancellationToken cancellation)
    {
        if (commands.Count == 0)
            return;

        await using var batch = new NpgsqlBatch(connection) { Timeout = TimeoutSeconds };
        foreach (var command in commands)
            batch.BatchCommands.Add(command);
        await using (var reader = await batch.ExecuteReaderAsync(cancellation))
        {
            // Statements without an answer have no result.
            foreach (var answer in answers)
            {
                await answer(reader, cancellation);
                await reader.NextResultAsync(cancellation);
            }

            // A statement that fails after the last answer says so only there.
            while (await reader.NextResultAsync(cancellation)) { }
        }

        commands.Clear();
        answers.Clear();
    }

    private void Add(string sql, ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.Add(parameter);
        commands.Add(command);
    }
}

/// <summary>What a <see cref="RoundTrip"/> was asked.</summary>
public sealed class Answer<T>
{
    private T? value;
    private bool known;

    /// <exception cref="InvalidOperationException">The round trip was not sent yet.</exception>
    public T Value
    {
        get => known ? value! : throw new InvalidOperationException("The answer is not there before the round trip is sent.");
        internal set => (this.value, known) = (value, true);
    }
}
