using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// Hands the outbox to the broker, in order within a lane and so within a tenant. A message is deleted in the transaction
/// that claimed its lane, after the broker confirmed it: a crash between the two delivers it again, under the same id.
/// </summary>
internal sealed class OutboxRelay(IServiceProvider services, Database database, Serializer serializer, TimeProvider time) : LaneReader
{
    private const int PageMessages = 500;

    // A broker that neither confirms nor fails must not hold a claim for ever.
    private static readonly TimeSpan PublishTimeout = TimeSpan.FromSeconds(30);

    public override string Name => "outbox";

    public override async Task<Visit> ReadPage(short lane, CancellationToken cancellation)
    {
        await using var connection = await database.System.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (await ClaimPage(connection, lane, cancellation) is not { } page)
            return Visit.Elsewhere;
        if (page.Count == 0)
            return Visit.Drained;

        using var activity = Telemetry.Source.StartActivity("eventstore.relay");
        activity?.SetTag("eventstore.lane", lane);
        activity?.SetTag("eventstore.messages", page.Count);
        using (var timeout = new CancellationTokenSource(PublishTimeout, time))
        using (var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation))
            await services.GetRequiredService<IMessagePublisher>().Publish([.. page.Select(row => row.Message)], both.Token);

        // The broker has them. Whether the service stops now or not, the rows should go.
        await using (var delete = new NpgsqlCommand(
            $"delete from {database.Schema}.outbox where lane = $1 and number = any($2)", connection)
        {
            Parameters = { Value(lane), Value(page.Select(row => row.Number).ToArray()) },
        })
        {
            await delete.ExecuteNonQueryAsync(CancellationToken.None);
        }

        await transaction.CommitAsync(CancellationToken.None);

        Telemetry.Relayed((NodaTime.Instant.FromDateTimeOffset(time.GetUtcNow()) - page[0].RecordedAt).ToTimeSpan());
        return page.Count == PageMessages ? Visit.More : Visit.Drained;
    }

    private async Task<List<Row>?> ClaimPage(NpgsqlConnection connection, short lane, CancellationToken cancellation)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new($"select 1 from {database.Schema}.readers where name = $1 and lane = $2 for update skip locked")
                {
                    Parameters = { Text(Name), Value(lane) },
                },
                new(
                    $"""
                    select number, message_id, tenant_id, queue, type, body, correlation_id, causation_id, recorded_at
                    from {database.Schema}.outbox where lane = $1 order by number limit $2
                    """)
                {
                    Parameters = { Value(lane), Value(PageMessages) },
                },
            },
        };
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        if (!await reader.ReadAsync(cancellation))
            return null;

        await reader.NextResultAsync(cancellation);
        List<Row> page = [];
        while (await reader.ReadAsync(cancellation))
        {
            page.Add(new(
                reader.GetInt64(0),
                NodaTime.Instant.FromDateTimeUtc(reader.GetDateTime(8)),
                new(
                    reader.GetGuid(1),
                    reader.GetGuid(2),
                    reader.IsDBNull(3) ? null : reader.GetString(3),
                    serializer.ReadMessage(reader.GetString(4), reader.GetFieldValue<byte[]>(5)),
                    reader.IsDBNull(6) ? null : reader.GetGuid(6),
                    reader.IsDBNull(7) ? null : reader.GetGuid(7))));
        }

        return page;
    }

    private readonly record struct Row(long Number, Instant RecordedAt, OutboxMessage Message);
}
