namespace Platform.GpuWorker.Torch;

/// <summary>A parameter and the name it has in files, in PyTorch's form: <c>layers.0.weight</c>.</summary>
public sealed record NamedTensor(string Name, Tensor Value);

/// <summary>A layer <c>y = x · Wᵀ + b</c> with W of shape (out, in).</summary>
public sealed class Linear : IDisposable
{
    /// <summary>
    /// PyTorch's default initial values: weights and biases uniform in ±1/sqrt(inputs).
    /// </summary>
    public Linear(int inputs, int outputs, SeededRandom random, TorchDevice device)
    {
        var bound = 1 / MathF.Sqrt(inputs);
        Weight = Uniform((long)inputs * outputs, bound, random, device, outputs, inputs);
        Bias = Uniform(outputs, bound, random, device, outputs);
    }

    /// <summary>A layer with parameters read from elsewhere, which it owns from now on.</summary>
    public Linear(Tensor weight, Tensor bias)
    {
        Weight = weight.AsParameter();
        Bias = bias.AsParameter();
    }

    public Tensor Weight { get; }

    public Tensor Bias { get; }

    /// <summary>Shape (batch, inputs) to (batch, outputs).</summary>
    public Tensor Forward(Tensor input) => input.Linear(Weight, Bias);

    public void Dispose()
    {
        Weight.Dispose();
        Bias.Dispose();
    }

    private static Tensor Uniform(
        long count, float bound, SeededRandom random, TorchDevice device, params ReadOnlySpan<long> shape)
    {
        var values = new float[count];
        for (var i = 0L; i < count; i++)
            values[i] = random.NextUniform(bound);
        return Tensor.From((ReadOnlySpan<float>)values, device, shape).AsParameter();
    }
}

/// <summary>Linear layers with ReLU between them; the last layer's outputs are logits.</summary>
public sealed class MultilayerPerceptron : IDisposable
{
    private readonly List<Linear> layers = [];

    /// <summary>Fresh parameters that depend on the seed alone. Make it outside of any scope that ends before it.</summary>
    public MultilayerPerceptron(int inputs, IReadOnlyList<int> hiddenSizes, int classes, long seed, TorchDevice device)
    {
        var width = inputs;
        foreach (var next in hiddenSizes.Append(classes))
        {
            layers.Add(new(width, next, new(seed, RandomPurpose.Weights, layers.Count), device));
            width = next;
        }
    }

    private MultilayerPerceptron(IEnumerable<Linear> layers) => this.layers.AddRange(layers);

    /// <summary>Reads the parameters that <see cref="Parameters"/> named.</summary>
    /// <exception cref="InvalidDataException">A parameter is missing.</exception>
    public static MultilayerPerceptron Load(TensorFile file, TorchDevice device)
    {
        var count = Enumerable.Range(0, file.Tensors.Count).TakeWhile(i => file.Tensors.ContainsKey($"layers.{i}.weight")).Count();
        if (count == 0)
            throw new InvalidDataException("The file holds no layer.");

        return new(Enumerable.Range(0, count).Select(i =>
            new Linear(file.Load($"layers.{i}.weight", device), file.Load($"layers.{i}.bias", device))));
    }

    /// <summary>In the order of the layers: weight, bias, weight, bias.</summary>
    public IReadOnlyList<NamedTensor> Parameters =>
    [
        .. layers.SelectMany((layer, i) => new NamedTensor[]
        {
            new($"layers.{i}.weight", layer.Weight), new($"layers.{i}.bias", layer.Bias),
        }),
    ];

    /// <summary>Shape (batch, inputs) to logits (batch, classes).</summary>
    public Tensor Forward(Tensor input)
    {
        var activation = input;
        foreach (var layer in layers)
        {
            activation = layer.Forward(activation);
            if (layer != layers[^1])
                activation = activation.Relu();
        }

        return activation;
    }

    public void Dispose()
    {
        foreach (var layer in layers)
            layer.Dispose();
    }
}
