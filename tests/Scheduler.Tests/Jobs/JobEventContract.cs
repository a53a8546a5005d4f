using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;
using Platform.Testing;
using static Platform.Scheduler.Tests.Jobs.JobHistory;

namespace Platform.Scheduler.Tests.Jobs;

/// <summary>What is stored today must be readable forever. These files may be added to, never edited.</summary>
public class JobEventContract
{
    public static TheoryData<string, JobEvent> Samples => new()
    {
        { "job.submitted.v1", Submitted() },
        { "job.placed.v1", Placed() },
        { "job.started.v1", Started() },
        { "job.checkpointed.v1", Checkpointed(step: 40) },
        { "job.attempt_ended.v1", Lost() with { Checkpoint = At(40) } },
        { "job.cancel_requested.v1", CancelRequested() },
        { "job.cancelled.v1", new JobEvent.Cancelled(Noon) },
        { "job.completed.v1", Completed() },
        { "job.failed.v1", new JobEvent.Failed(First, "dataset.unknown", "There is no such dataset.", Noon) },
    };

    [Theory]
    [MemberData(nameof(Samples))]
    public void Every_event_is_stored_as_approved_and_reads_back(string name, JobEvent sample)
    {
        var json = JsonSerializer.Serialize(sample, SchedulerJson.Storage);

        Approve.Text(json, $"{name}.json");
        SchedulerJson.Events.NameOf(sample).ShouldBe(name);
        var stored = SchedulerJson.Events.Serialize(sample);
        var back = SchedulerJson.Events.Deserialize(name, stored);
        back.ShouldBeOfType(sample.GetType());
        SchedulerJson.Events.Serialize(back).ShouldBe(stored);
    }

    [Fact]
    public void An_infer_job_is_stored_as_approved() =>
        Approve.Text(
            JsonSerializer.Serialize<JobEvent>(Submitted(spec: Infer()), SchedulerJson.Storage), "job.submitted.v1.infer.json");

    [Fact]
    public void An_event_reads_back_when_jsonb_has_reordered_its_keys()
    {
        const string stored =
            """{"at":"2026-01-31T12:00:00Z","checkpoint":{"uri":"file:///checkpoints/40","step":40},"attempt_id":"0198c0de-0000-7000-8000-000000000011","type":"job.checkpointed.v1"}""";

        JsonSerializer.Deserialize<JobEvent>(stored, SchedulerJson.Storage).ShouldBe(Checkpointed(step: 40));
    }

    [Fact]
    public void An_event_with_a_missing_field_is_refused_not_defaulted() =>
        Should.Throw<JsonException>(() => JsonSerializer.Deserialize<JobEvent>(
            """{"type":"job.cancelled.v1"}""", SchedulerJson.Storage));

    [Fact]
    public void Every_event_type_has_a_sample_and_state_and_view_know_it()
    {
        var declared = typeof(JobEvent).GetCustomAttributes<JsonDerivedTypeAttribute>()
            .Select(type => (string)type.TypeDiscriminator!);

        Samples.Select(row => row.Data.Item1).ShouldBe(declared, ignoreOrder: true);
        Samples.ShouldAllBe(row => Job.Evolve(Job.Initial, row.Data.Item2) != null);
        var placed = new JobEvent[] { Submitted(), Placed() }.Aggregate((JobView?)null, JobView.Project);
        Samples.Where(row => row.Data.Item2 is not JobEvent.Submitted)
            .ShouldAllBe(row => JobView.Project(placed, row.Data.Item2) != null);
    }
}

public class JobViewSpecs
{
    [Fact]
    public void A_completed_job_reads_as_approved()
    {
        JobEvent[] history =
        [
            Submitted(), Placed(), Started(), Checkpointed(step: 40), Lost(), Placed(Second, number: 2), Started(Second),
            Completed(Second),
        ];

        var view = history.Aggregate((JobView?)null, JobView.Project);

        Approve.Text(JsonSerializer.Serialize(view!, Indented), "completed-job.json");
    }

    [Fact]
    public void A_failed_job_reads_as_approved()
    {
        JobEvent[] history =
        [
            Submitted(), Placed(), new JobEvent.Failed(First, "dataset.unknown", "There is no such dataset.", Noon),
        ];

        var view = history.Aggregate((JobView?)null, JobView.Project);

        Approve.Text(JsonSerializer.Serialize(view!, Indented), "failed-job.json");
    }

    private static readonly JsonSerializerOptions Indented = new(SchedulerJson.Storage) { WriteIndented = true };
}
