using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Mvc;
using Platform.EventStore;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Tenants;
using Platform.ServiceDefaults;

namespace Platform.Scheduler;

[JsonSerializable(typeof(JobEvent))]
[JsonSerializable(typeof(WorkerEvent))]
[JsonSerializable(typeof(JobView))]
[JsonSerializable(typeof(Page<JobView>))]
[JsonSerializable(typeof(JobProgress))]
[JsonSerializable(typeof(WorkerView))]
[JsonSerializable(typeof(Page<ListWorkers.FleetWorker>))]
[JsonSerializable(typeof(SubmitJob.JobSubmission))]
[JsonSerializable(typeof(Entitlements))]
[JsonSerializable(typeof(ProblemDetails))]
public sealed partial class SchedulerJson : JsonSerializerContext
{
    /// <summary>How events and views look in the database.</summary>
    public static JsonSerializerOptions Storage { get; } = PlatformJson.ForStorage(new SchedulerJson());

    /// <summary>Every event that the Scheduler stores.</summary>
    public static EventTypes Events => new(Storage, typeof(JobEvent), typeof(WorkerEvent));

    public static JsonTypeInfo<T> Stored<T>() => (JsonTypeInfo<T>)Storage.GetTypeInfo(typeof(T));
}
