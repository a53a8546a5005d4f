namespace Platform.GpuWorker.Torch;

/// <summary>
/// Adam with bias correction (Kingma and Ba, 2015), one native call for all parameters. Its state is plain tensors, so
/// that a checkpoint can hold it and training continues bit for bit.
/// </summary>
public sealed class Adam : IDisposable
{
    private readonly List<NamedTensor> parameters;
    private readonly List<Tensor> m;
    private readonly List<Tensor> v;

    public Adam(IReadOnlyList<NamedTensor> parameters, double learningRate)
    {
        this.parameters = [.. parameters];
        LearningRate = learningRate;
        m = [.. parameters.Select(ZerosLike)];
        v = [.. parameters.Select(ZerosLike)];
    }

    /// <summary>Continues from a file that holds <see cref="State"/>.</summary>
    /// <exception cref="InvalidDataException">The state of a parameter is missing or has another shape.</exception>
    public Adam(IReadOnlyList<NamedTensor> parameters, double learningRate, long steps, TensorFile file)
    {
        this.parameters = [.. parameters];
        LearningRate = learningRate;
        Steps = steps;
        m = [.. parameters.Select(parameter => Restore($"adam.m.{parameter.Name}", parameter.Value))];
        v = [.. parameters.Select(parameter => Restore($"adam.v.{parameter.Name}", parameter.Value))];

        Tensor Restore(string name, Tensor like)
        {
            var restored = file.Load(name, like.Device);
            return restored.Shape.SequenceEqual(like.Shape)
                ? restored
                : throw new InvalidDataException($"{name} has another shape than its parameter.");
        }
    }

    public double LearningRate { get; set; }

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.999;

    public double Epsilon { get; init; } = 1e-8;

    public double WeightDecay { get; init; }

    /// <summary>Steps done.</summary>
    public long Steps { get; private set; }

    /// <summary>First and second moments, named <c>adam.m.*</c> and <c>adam.v.*</c>.</summary>
    public IEnumerable<NamedTensor> State =>
    [
        .. parameters.Select((parameter, i) => new NamedTensor($"adam.m.{parameter.Name}", m[i])),
        .. parameters.Select((parameter, i) => new NamedTensor($"adam.v.{parameter.Name}", v[i])),
    ];

    /// <summary>Forgets the gradients of the step before.</summary>
    public unsafe void ZeroGrad()
    {
        var handles = stackalloc nint[parameters.Count];
        for (var i = 0; i < parameters.Count; i++)
            handles[i] = parameters[i].Value.Handle.DangerousGetHandle();
        Native.Check(Native.ZeroGrad(handles, parameters.Count));
        GC.KeepAlive(parameters);
    }

    /// <summary>Moves every parameter that has a gradient.</summary>
    public unsafe void Step()
    {
        var count = parameters.Count;
        var handles = stackalloc nint[3 * count];
        for (var i = 0; i < count; i++)
        {
            handles[i] = parameters[i].Value.Handle.DangerousGetHandle();
            handles[count + i] = m[i].Handle.DangerousGetHandle();
            handles[2 * count + i] = v[i].Handle.DangerousGetHandle();
        }

        Native.Check(Native.AdamStep(
            handles, handles + count, handles + 2 * count, count,
            Steps + 1, LearningRate, Beta1, Beta2, Epsilon, WeightDecay));
        GC.KeepAlive(this);
        Steps++;
    }

    public void Dispose()
    {
        foreach (var tensor in m.Concat(v))
            tensor.Dispose();
    }

    private static Tensor ZerosLike(NamedTensor parameter) =>
        Tensor.Zeros(parameter.Value.Device, parameter.Value.Type, parameter.Value.Shape);
}
