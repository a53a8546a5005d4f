using NodaTime;
using Platform.Contracts;
using Platform.Scheduler.Placement;

namespace Platform.Scheduler.Fleet;

/// <summary>What is known of a worker's current session.</summary>
/// <param name="LastHeardAt">Its last heartbeat, or its registration before the first one.</param>
public sealed record WorkerStanding(
    WorkerId WorkerId, WorkerSessionId SessionId, WorkerStatus Status, Instant LastHeardAt, Instant ChangedAt);

/// <param name="LastListedAt">The last heartbeat that listed the attempt; null if none did yet.</param>
public sealed record AttemptStanding(OpenAttempt Attempt, Instant? LastListedAt);

/// <param name="Reason">For people.</param>
public sealed record LostAttempt(OpenAttempt Attempt, string Reason);

public sealed record Verdicts(
    IReadOnlyList<WorkerStanding> WorkersLost, IReadOnlyList<WorkerStanding> WorkersReturned, IReadOnlyList<LostAttempt> AttemptsLost);

/// <summary>
/// The pure core of watching the fleet: who is gone and which attempts are over. The rule behind all of it: an attempt is
/// ended only when it is certain that it does not run and never will.
/// </summary>
public static class Judgement
{
    /// <param name="listeningSince">
    /// Since when heartbeats could be heard without a break. Silence before it was ours, not the workers': after an outage of
    /// the database, the broker or this process everybody gets a whole lease to be heard again.
    /// </param>
    public static Verdicts Judge(
        Instant now, Instant listeningSince, IReadOnlyList<WorkerStanding> workers, IReadOnlyList<AttemptStanding> attempts,
        Duration lease, Duration missing)
    {
        var byId = workers.ToDictionary(worker => worker.WorkerId);
        return new(
            [.. workers.Where(worker => worker.Status == WorkerStatus.Active && LeaseIsOver(worker))],
            [
                .. workers.Where(worker =>
                    worker.Status == WorkerStatus.Lost && worker.LastHeardAt > worker.ChangedAt && !LeaseIsOver(worker)),
            ],
            [
                .. attempts
                    .Select(standing => (standing.Attempt, Reason: WhyLost(standing)))
                    .Where(judged => judged.Reason is not null)
                    .Select(judged => new LostAttempt(judged.Attempt, judged.Reason!)),
            ]);

        bool LeaseIsOver(WorkerStanding worker) => now - Instant.Max(worker.LastHeardAt, listeningSince) > lease;

        string? WhyLost(AttemptStanding standing)
        {
            var attempt = standing.Attempt;
            if (!byId.TryGetValue(attempt.WorkerId, out var worker) || worker.SessionId != attempt.SessionId)
                return "The worker started anew.";

            // Until StartBefore a silent worker could still take the attempt from its queue.
            if (LeaseIsOver(worker))
                return now > attempt.StartBefore ? "The worker is no longer heard." : null;

            var listed = Instant.Max(Instant.Max(attempt.StartBefore, standing.LastListedAt ?? Instant.MinValue), listeningSince);
            return worker.LastHeardAt > listed + missing ? "The worker does not run the attempt." : null;
        }
    }
}
