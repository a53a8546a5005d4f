namespace Platform.Billing.Usage;

/// <summary>
/// How many bytes of reported usage this process has in hand, read or being read. What is beyond the limit is asked to come again
/// instead of being kept waiting, so that memory and answers stay bounded whatever arrives.
/// </summary>
public sealed class UsageAdmission(long bytesMax)
{
    private long inHand;

    public static UsageAdmission From(IConfiguration configuration) =>
        new(configuration.GetValue("Usage:WaitingMiBMax", 256L) * 1024 * 1024);

    /// <returns>To be disposed of when the work is done; null where there is no room. An idle process takes any request.</returns>
    public IDisposable? TryEnter(long bytes)
    {
        if (Interlocked.Add(ref inHand, bytes) <= bytesMax || Interlocked.Read(ref inHand) == bytes)
            return new Admitted(this, bytes);
        Interlocked.Add(ref inHand, -bytes);
        return null;
    }

    private sealed class Admitted(UsageAdmission admission, long bytes) : IDisposable
    {
        private int left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref left, 1) == 0)
                Interlocked.Add(ref admission.inHand, -bytes);
        }
    }
}
