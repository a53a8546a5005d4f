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
    private readonly Dictionary<object, ISharedAsk> shared = [];

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

    /// <summary>Adds one's part of a query that may be asked for others too: all of them are one statement, after those of the others.</summary>
    public Answer<T> Ask<TAsked, TRow, T>(SharedQuery<TAsked, TRow> query, TAsked asked, Func<IReadOnlyList<TRow>, T> read)
    {
        if (!shared.TryGetValue(query, out var known))
            shared.Add(query, known = new SharedAsk<TAsked, TRow>(query));
        var answer = new Answer<T>();
        ((SharedAsk<TAsked, TRow>)known).Add(asked, rows => answer.Value = read(rows));
        return answer;
    }

    /// <inheritdoc cref="Ask{TAsked, TRow, T}(SharedQuery{TAsked, TRow}, TAsked, Func{IReadOnlyList{TRow}, T})"/>
    public Answer<IReadOnlyList<TRow>> Ask<TAsked, TRow>(SharedQuery<TAsked, TRow> query, TAsked asked) =>
        Ask(query, asked, rows => rows);

    /// <summary>Adds a statement without an answer: it has no <c>returning</c>.</summary>
    public void Write(string sql, params ReadOnlySpan<NpgsqlParameter> parameters) => Add(sql, parameters);

    /// <inheritdoc cref="Write(string, ReadOnlySpan{NpgsqlParameter})"/>
    public void Write(NpgsqlBatchCommand statement) => commands.Add(statement);

    /// <summary>Sends everything that was added since it was last sent, if anything was.</summary>
    public async Task Send(CancellationToken cancellation)
    {
        foreach (var query in shared.Values)
            query.AddTo(this);
        shared.Clear();
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

/// <summary>
/// A query about many things at once. A statement costs as much to begin as to read a few rows, so what several ask of one kind in a
/// <see cref="RoundTrip"/> is asked together.
/// </summary>
/// <param name="sql">
/// Reads what is asked from <c>unnest($1, …) with ordinality</c>; the first column of each row is the place of what it belongs to.
/// </param>
/// <param name="parameters">What is asked, as the columns of the unnest.</param>
/// <param name="row">Reads the columns from the second on.</param>
public sealed class SharedQuery<TAsked, TRow>(
    string sql, Func<IReadOnlyList<TAsked>, NpgsqlParameter[]> parameters, Func<NpgsqlDataReader, TRow> row)
{
    internal string Sql => sql;

    internal NpgsqlParameter[] Parameters(IReadOnlyList<TAsked> asked) => parameters(asked);

    internal (int Place, TRow Row) Read(NpgsqlDataReader reader) => ((int)reader.GetInt64(0), row(reader));
}

internal interface ISharedAsk
{
    void AddTo(RoundTrip together);
}

internal sealed class SharedAsk<TAsked, TRow>(SharedQuery<TAsked, TRow> query) : ISharedAsk
{
    private readonly List<TAsked> asked = [];
    private readonly List<Action<IReadOnlyList<TRow>>> answers = [];

    public void Add(TAsked one, Action<IReadOnlyList<TRow>> answer)
    {
        asked.Add(one);
        answers.Add(answer);
    }

    public void AddTo(RoundTrip together) => together.Ask(
        query.Sql,
        async (reader, cancellation) =>
        {
            var rows = new List<TRow>?[asked.Count];
            while (await reader.ReadAsync(cancellation))
            {
                var (place, row) = query.Read(reader);
                (rows[place - 1] ??= []).Add(row);
            }

            foreach (var (place, answer) in answers.Index())
                answer(rows[place] ?? (IReadOnlyList<TRow>)[]);
            return true;
        },
        query.Parameters(asked));
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
