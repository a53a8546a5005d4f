using NodaTime;
using NodaTime.Extensions;

namespace Platform.Billing;

public static class Clock
{
    extension(TimeProvider clock)
    {
        /// <summary>Now, cut to the microseconds that PostgreSQL keeps, so that what is compared is what is stored.</summary>
        public Instant Now() => clock.GetCurrentInstant().ToMicroseconds();
    }

    extension(Instant instant)
    {
        public Instant ToMicroseconds() => Instant.FromUnixTimeTicks(Floor(instant.ToUnixTimeTicks(), ticks: 10));
    }

    private static long Floor(long value, long ticks) => value - (((value % ticks) + ticks) % ticks);
}
