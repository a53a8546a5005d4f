using Npgsql;
using Platform.EventStore;

namespace Platform.Scheduler.Jobs;

/// <summary>A tenant's jobs that have not ended: queued, placed or running.</summary>
/// <param name="Queued">Those of them that wait for a device.</param>
/// <param name="GpuMilli">Thousandths of devices that they ask for together.</param>
public sealed record OpenJobs(long Count, long Queued, long GpuMilli)
{
    public static readonly OpenJobs None = new(Count: 0, Queued: 0, GpuMilli: 0);

    /// <summary>Counted in the tenant's lane, so that two submissions at once cannot both take the last place.</summary>
    public static async Task<OpenJobs> Read(EventTransaction transaction, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            select count(*), count(*) filter (where data->>'status' = 'queued'), coalesce(sum((data->>'gpu_milli')::bigint), 0)::bigint
            from scheduler.job_views
            where tenant_id = $1 and data->>'status' in ('queued', 'placed', 'running')
            """,
            transaction.Connection)
        {
            Parameters = { new() { Value = transaction.TenantId } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2));
    }
}
