namespace Platform.GpuWorker.Torch;

/// <summary>
/// Frees every tensor that its thread made while the scope was the innermost one, but those kept. Without scopes a
/// training step would leave its activations to the garbage collector, which does not know how much memory they hold.
/// </summary>
public sealed class TensorScope : IDisposable
{
    [ThreadStatic]
    private static TensorScope? current;

    private readonly TensorScope? outer = current;
    private readonly int thread = Environment.CurrentManagedThreadId;
    private readonly List<Tensor> tensors = new(capacity: 16);
    private bool disposed;

    public TensorScope() => current = this;

    /// <summary>Lets a tensor outlive this scope: the next outer scope frees it, or the caller where there is none.</summary>
    public Tensor Keep(Tensor tensor)
    {
        if (tensors.Remove(tensor))
            outer?.tensors.Add(tensor);
        return tensor;
    }

    /// <exception cref="InvalidOperationException">
    /// The scope changed its thread (an await inside it), or an inner scope is still open.
    /// </exception>
    public void Dispose()
    {
        if (disposed)
            return;
        if (thread != Environment.CurrentManagedThreadId)
            throw new InvalidOperationException("A tensor scope left its thread: there must be no await inside it.");
        if (current != this)
            throw new InvalidOperationException("A tensor scope was closed before the scopes inside it.");

        disposed = true;
        current = outer;
        foreach (var tensor in tensors)
            tensor.Dispose();
    }

    internal static void Add(Tensor tensor) => current?.tensors.Add(tensor);
}

/// <summary>Until it is disposed, operators on this thread record nothing for autograd.</summary>
public readonly struct NoGrad : IDisposable, IEquatable<NoGrad>
{
    private readonly int previous;

    private NoGrad(int previous) => this.previous = previous;

    public static NoGrad Begin()
    {
        Native.Check(Native.SetGradEnabled(enabled: 0, out var previous));
        return new(previous);
    }

    public void Dispose() => Native.Check(Native.SetGradEnabled(previous, out _));

    public bool Equals(NoGrad other) => previous == other.previous;
    public override bool Equals(object? obj) => obj is NoGrad other && Equals(other);
    public override int GetHashCode() => previous;
    public static bool operator ==(NoGrad left, NoGrad right) => left.Equals(right);
    public static bool operator !=(NoGrad left, NoGrad right) => !left.Equals(right);
}
