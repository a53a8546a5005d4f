namespace Platform.GpuWorker.Torch;

/// <summary>
/// SplitMix64 (Steele, Lea and Flood, 2014). Initial weights and shuffles come from here rather than from libtorch, so
/// that the same seed gives the same model with every version of libtorch, and a resumed job needs no generator state:
/// each use has a stream of its own, made from the seed and what it is for.
/// </summary>
/// <param name="seed">The job's seed.</param>
/// <param name="purpose">What the numbers are for: the streams of one seed are independent.</param>
/// <param name="index">Which one of these: the epoch, the layer.</param>
public sealed class SeededRandom(long seed, RandomPurpose purpose, long index)
{
    private const ulong Gamma = 0x9E3779B97F4A7C15;

    private ulong state = unchecked(Mix(Mix(Mix((ulong)seed) + (ulong)purpose) + (ulong)index));

    public ulong Next()
    {
        unchecked
        {
            state += Gamma;
            return Mix(state);
        }
    }

    /// <summary>Uniform in [-bound, bound).</summary>
    public float NextUniform(float bound) => (((Next() >> 40) * (1f / (1 << 24))) * 2 - 1) * bound;

    /// <summary>Every order of 0 to count - 1 is equally likely (Fisher and Yates).</summary>
    public long[] Permutation(int count)
    {
        var order = new long[count];
        for (var i = 0; i < count; i++)
            order[i] = i;
        for (var i = count - 1; i > 0; i--)
        {
            var j = (int)Below((ulong)i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }

    // Lemire, 2019: the high half of a product, rejecting the few low halves that would make some results likelier.
    private ulong Below(ulong bound)
    {
        var rejected = unchecked(0 - bound) % bound;
        while (true)
        {
            var high = Math.BigMul(Next(), bound, out var low);
            if (low >= rejected)
                return high;
        }
    }

    private static ulong Mix(ulong value)
    {
        unchecked
        {
            value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
            value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
            return value ^ (value >> 31);
        }
    }
}

public enum RandomPurpose
{
    Weights = 1,
    Shuffle = 2,
}
