using NodaTime;
using Platform.Contracts;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Placement;

namespace Platform.Scheduler.Tests.Fleet;

public class JudgementSpecs
{
    private static readonly Duration Lease = Duration.FromSeconds(12);
    private static readonly Duration Missing = Duration.FromSeconds(10);

    /// <summary>
    /// One line per idea; all times are seconds. The worker was last heard at `heard`, its attempt had to start before
    /// `startBefore` and was last listed by a heartbeat at `listed` (-1: never); heartbeats could be heard since `listening`.
    /// </summary>
    [Theory]
    // now listening heard startBefore listed | worker lost, attempt lost
    [InlineData(100, 0, 99, 30, 99, false, false)]      // all is well
    [InlineData(100, 0, 88, 30, 88, false, false)]      // silent, but within the lease
    [InlineData(101, 0, 88, 30, 88, true, true)]        // the lease is over
    [InlineData(101, 0, 88, 120, -1, true, false)]      // lost before it had to start: it could still start
    [InlineData(121, 0, 88, 120, -1, true, true)]       // now it cannot
    [InlineData(100, 95, 20, 30, 20, false, false)]     // we were deaf until 95: its silence proves nothing
    [InlineData(108, 95, 20, 30, 20, true, true)]       // a whole lease of listening later it does
    [InlineData(100, 0, 99, 120, -1, false, false)]     // not started yet, may still
    [InlineData(130, 0, 129, 120, -1, false, false)]    // should run, not listed, but that may be on its way
    [InlineData(132, 0, 131, 120, -1, false, true)]     // heard again and again without it: it was never taken
    [InlineData(100, 0, 99, 30, 90, false, false)]      // no longer listed: perhaps its report is on its way
    [InlineData(102, 0, 101, 30, 90, false, true)]      // no report came
    [InlineData(100, 92, 99, 30, 50, false, false)]     // not listed, but we were deaf until a moment ago
    public void The_table_says_who_is_lost(
        int now, int listening, int heard, int startBefore, int listed, bool workerLost, bool attemptLost)
    {
        var attempt = Attempt(WorkerHistory.First, startBefore);

        var verdicts = Judgement.Judge(
            At(now), At(listening),
            [new(WorkerHistory.Id, WorkerHistory.First, WorkerStatus.Active, At(heard), At(0))],
            [new(attempt, listed < 0 ? null : At(listed))],
            Lease, Missing);

        verdicts.WorkersLost.Count.ShouldBe(workerLost ? 1 : 0);
        verdicts.AttemptsLost.Select(lost => lost.Attempt).ShouldBe(attemptLost ? [attempt] : []);
        verdicts.WorkersReturned.ShouldBeEmpty();
    }

    [Fact]
    public void A_new_session_ends_the_attempts_of_the_earlier_one_at_once()
    {
        var verdicts = Judgement.Judge(
            At(1), At(0), [new(WorkerHistory.Id, WorkerHistory.Second, WorkerStatus.Active, At(1), At(1))],
            [new(Attempt(WorkerHistory.First, startBefore: 30), LastListedAt: At(0))], Lease, Missing);

        verdicts.AttemptsLost.ShouldHaveSingleItem();
    }

    [Theory]
    [InlineData(WorkerStatus.Lost, 60, 50, true)]       // heard after it was given up
    [InlineData(WorkerStatus.Lost, 40, 50, false)]      // heard before
    [InlineData(WorkerStatus.Drained, 60, 50, false)]   // it said farewell: only a new session brings it back
    public void A_lost_worker_returns_when_it_is_heard_again(WorkerStatus status, int heard, int changed, bool returns) =>
        Judgement.Judge(
                At(61), At(0), [new(WorkerHistory.Id, WorkerHistory.First, status, At(heard), At(changed))], [], Lease, Missing)
            .WorkersReturned.Count.ShouldBe(returns ? 1 : 0);

    [Fact]
    public void What_a_drained_worker_left_behind_is_lost_when_its_lease_is_over() =>
        Judgement.Judge(
                At(61), At(0), [new(WorkerHistory.Id, WorkerHistory.First, WorkerStatus.Drained, At(40), At(40))],
                [new(Attempt(WorkerHistory.First, startBefore: 30), LastListedAt: At(40))], Lease, Missing)
            .AttemptsLost.ShouldHaveSingleItem();

    private static Instant At(int second) => WorkerHistory.Noon + Duration.FromSeconds(second);

    private static OpenAttempt Attempt(WorkerSessionId session, int startBefore) => new(
        TenantId.Operator, JobId.New(), AttemptId.New(), WorkerHistory.Id, session, DeviceIndex: 0, GpuMilli: 500, At(startBefore));
}
