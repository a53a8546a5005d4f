namespace Platform.Contracts;

/// <summary>
/// The queues that messages are sent to by name. Everything else is published: its exchange is the message's type and
/// each consumer binds a queue of its own.
/// </summary>
public static class Queues
{
    /// <summary>Takes <c>ExecuteJob</c> and <c>CancelAttempt</c> for one worker of a pool.</summary>
    public static string Worker(string pool, WorkerId worker) => $"pool.{pool}.{worker}";
}
