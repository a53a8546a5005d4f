using Npgsql;

namespace Platform.EventStore;

/// <summary>Which failures of the database pass by themselves, and how long to wait for that.</summary>
internal static class Faults
{
    /// <summary>Tries of one call that a person or a bus waits for: about 1.5 seconds in all.</summary>
    public const int AttemptsMax = 6;

    /// <summary>The connection is gone; whether a commit that was under way took place is unknown.</summary>
    public static bool IsLostConnection(Exception error) => Database(error) switch
    {
        PostgresException { SqlState: { } state } =>
            state.StartsWith("08", StringComparison.Ordinal)
            || state is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow,
        { InnerException: TimeoutException } => false,      // it waited long enough
        not null => true,
        null => false,
    };

    /// <summary>The database rolled back and asks to be tried again.</summary>
    public static bool IsTransient(Exception error) =>
        Database(error) is PostgresException
        {
            SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected,
        };

    /// <summary>A statement took longer than its time; trying again would take as long.</summary>
    public static bool IsTimeout(Exception error) => Database(error) is { InnerException: TimeoutException };

    public static TimeSpan Backoff(int attempt, int millisecondsMax = 5_000) =>
        TimeSpan.FromMilliseconds(Math.Min(50 << Math.Min(attempt, 10), millisecondsMax));

    private static NpgsqlException? Database(Exception? error) =>
        error is null or NpgsqlException ? (NpgsqlException?)error : Database(error.InnerException);
}
