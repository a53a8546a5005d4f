using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Fleet;
using Platform.Testing;

namespace Platform.Scheduler.Tests.Fleet;

using WorkerSpec = Spec<Worker, WorkerEvent>;

internal static class WorkerHistory
{
    public static readonly Instant Noon = Instant.FromUtc(2026, 1, 31, 12, 0);
    public static readonly WorkerId Id = new(Guid.Parse("0198c0de-0000-7000-8000-000000000003"));
    public static readonly WorkerSessionId First = new(Guid.Parse("0198c0de-0000-7000-8000-000000000004"));
    public static readonly WorkerSessionId Second = new(Guid.Parse("0198c0de-0000-7000-8000-000000000005"));
    public static readonly IReadOnlyList<Device> Devices = [new(0, "cpu", MemoryBytes: 8_000_000_000)];

    public static WorkerEvent.Registered Registered(WorkerSessionId? session = null, int second = 0) => new(
        Id, session ?? First, "rack-1", "on-demand", Devices, "MFkw", Noon + Duration.FromSeconds(second));

    public static WorkerRegistered Message(WorkerSessionId? session = null, int second = 0) => new(
        Id, session ?? First, "rack-1", "on-demand", Devices, "MFkw", Noon + Duration.FromSeconds(second));

    public static WorkerEvent.Lost Lost() => new(First, Noon, Noon + Duration.FromSeconds(13));

    public static WorkerStanding Standing(WorkerSessionId? session = null) =>
        new(Id, session ?? First, WorkerStatus.Active, Noon, Noon);
}

public class WorkerSpecs
{
    [Fact]
    public void A_worker_registers() =>
        WorkerSpec.Given().When(worker => RegisterWorker.Decide(WorkerHistory.Message(), worker)).Then(WorkerHistory.Registered());

    [Fact]
    public void A_session_registers_once() =>
        WorkerSpec.Given(WorkerHistory.Registered())
            .When(worker => RegisterWorker.Decide(WorkerHistory.Message(), worker)).ThenNothing();

    [Fact]
    public void A_new_session_replaces_the_one_before() =>
        WorkerSpec.Given(WorkerHistory.Registered())
            .When(worker => RegisterWorker.Decide(WorkerHistory.Message(WorkerHistory.Second, second: 9), worker))
            .Then(WorkerHistory.Registered(WorkerHistory.Second, second: 9));

    [Fact]
    public void A_late_copy_of_an_earlier_session_is_ignored() =>
        WorkerSpec.Given(WorkerHistory.Registered(), WorkerHistory.Registered(WorkerHistory.Second, second: 9))
            .When(worker => RegisterWorker.Decide(WorkerHistory.Message(), worker)).ThenNothing();

    [Fact]
    public void A_new_session_counts_even_when_the_workers_clock_was_set_back() =>
        WorkerSpec.Given(WorkerHistory.Registered(second: 60))
            .When(worker => RegisterWorker.Decide(WorkerHistory.Message(WorkerHistory.Second, second: 9), worker))
            .Then(WorkerHistory.Registered(WorkerHistory.Second, second: 9));

    [Fact]
    public void A_silent_worker_is_lost_once() =>
        WorkerSpec.Given(WorkerHistory.Registered(), WorkerHistory.Lost())
            .When(worker => FleetWatch.Lose(WorkerHistory.Standing(), WorkerHistory.Noon, worker)).ThenNothing();

    [Fact]
    public void A_worker_that_began_anew_is_not_lost_with_its_old_session() =>
        WorkerSpec.Given(WorkerHistory.Registered(), WorkerHistory.Registered(WorkerHistory.Second, second: 9))
            .When(worker => FleetWatch.Lose(WorkerHistory.Standing(), WorkerHistory.Noon, worker)).ThenNothing();

    [Fact]
    public void A_lost_worker_that_is_heard_again_returns() =>
        WorkerSpec.Given(WorkerHistory.Registered(), WorkerHistory.Lost())
            .When(worker => FleetWatch.Return(WorkerHistory.Standing(), WorkerHistory.Noon, worker))
            .Then(new WorkerEvent.Returned(WorkerHistory.First, WorkerHistory.Noon));

    [Fact]
    public void A_worker_that_shuts_down_is_drained() =>
        WorkerSpec.Given(WorkerHistory.Registered())
            .When(worker => DrainWorker.Decide(new(WorkerHistory.Id, WorkerHistory.First, WorkerHistory.Noon), worker))
            .Then(new WorkerEvent.Drained(WorkerHistory.First, WorkerHistory.Noon));

    [Fact]
    public void A_late_farewell_of_an_earlier_session_drains_nothing() =>
        WorkerSpec.Given(WorkerHistory.Registered(), WorkerHistory.Registered(WorkerHistory.Second, second: 9))
            .When(worker => DrainWorker.Decide(new(WorkerHistory.Id, WorkerHistory.First, WorkerHistory.Noon), worker))
            .ThenNothing();
}

/// <summary>What is stored today must be readable forever. These files may be added to, never edited.</summary>
public class WorkerEventContract
{
    public static TheoryData<string, WorkerEvent> Samples => new()
    {
        { "worker.registered.v1", WorkerHistory.Registered() },
        { "worker.lost.v1", WorkerHistory.Lost() },
        { "worker.returned.v1", new WorkerEvent.Returned(WorkerHistory.First, WorkerHistory.Noon) },
        { "worker.drained.v1", new WorkerEvent.Drained(WorkerHistory.First, WorkerHistory.Noon) },
    };

    [Theory]
    [MemberData(nameof(Samples))]
    public void Every_event_is_stored_as_approved_and_reads_back(string name, WorkerEvent sample)
    {
        Approve.Text(JsonSerializer.Serialize(sample, SchedulerJson.Storage), $"{name}.json");
        var stored = SchedulerJson.Events.Serialize(sample);
        SchedulerJson.Events.NameOf(sample).ShouldBe(name);
        SchedulerJson.Events.Serialize(SchedulerJson.Events.Deserialize(name, stored)).ShouldBe(stored);
    }

    [Fact]
    public void Every_event_type_has_a_sample_and_state_and_view_know_it()
    {
        var declared = typeof(WorkerEvent).GetCustomAttributes<JsonDerivedTypeAttribute>()
            .Select(type => (string)type.TypeDiscriminator!);

        Samples.Select(row => row.Data.Item1).ShouldBe(declared, ignoreOrder: true);
        Samples.ShouldAllBe(row => Worker.Evolve(Worker.Initial, row.Data.Item2) != null);
        var registered = WorkerView.Project(null, WorkerHistory.Registered());
        Samples.ShouldAllBe(row => WorkerView.Project(registered, row.Data.Item2) != null);
    }
}
