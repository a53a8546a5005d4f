using Platform.GpuWorker.Tests.Support;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Tests.Torch;

[Collection(TorchTests.Name)]
public sealed class TrainingSpecs : IDisposable
{
    private readonly TorchThread torch = new(cpuThreads: 1);

    public void Dispose() => torch.Dispose();

    [Fact]
    public async Task Gradients_of_the_perceptron_equal_finite_differences() => await torch.Run(() =>
    {
        const double delta = 1e-6;
        using var scope = new TensorScope();
        using var model = new MultilayerPerceptron(inputs: 4, hiddenSizes: [5, 3], classes: 3, seed: 1, TorchDevice.Cpu);
        // Differences need double precision; the model's own parameters are floats.
        var values = model.Parameters.ToDictionary(p => p.Name, p => p.Value.ToArray<double>());
        var inputs = Tensor.From(Enumerable.Range(0, 8).Select(i => Math.Sin(i) * 2).ToArray(), 2, 4);
        var targets = Tensor.From([2L, 0L], 2);

        using var exact = WithValues();
        Loss(exact).Backward();

        foreach (var parameter in exact.Parameters)
        {
            var gradient = parameter.Value.Grad.ShouldNotBeNull().ToArray<double>();
            for (var i = 0; i < gradient.Length; i++)
            {
                var difference = (LossAt(parameter.Name, i, delta) - LossAt(parameter.Name, i, -delta)) / (2 * delta);
                gradient[i].ShouldBe(difference, tolerance: 1e-6, $"{parameter.Name}[{i}]");
            }
        }

        Tensor Loss(MultilayerPerceptron of) => of.Forward(inputs).CrossEntropy(targets);

        double LossAt(string name, int index, double change)
        {
            values[name][index] += change;
            using var moved = WithValues();
            values[name][index] -= change;
            return Loss(moved).Item();
        }

        MultilayerPerceptron WithValues()
        {
            var tensors = model.Parameters.ToDictionary(
                p => p.Name, p => HostTensor.From(Tensor.From((ReadOnlySpan<double>)values[p.Name], TorchDevice.Cpu, p.Value.Shape)));
            return MultilayerPerceptron.Load(new(new Dictionary<string, string>(), tensors), TorchDevice.Cpu);
        }
    });

    [Fact]
    public async Task An_adam_step_equals_the_textbook_formula() => await torch.Run(() =>
    {
        const double rate = 0.1, beta1 = 0.8, beta2 = 0.95, epsilon = 1e-3, decay = 0.02;
        double[] start = [0.5, -1.5, 2.0];
        double[] coefficients = [3.0, -0.2, 0.01];
        using var scope = new TensorScope();
        var parameter = Tensor.From(start, 3).AsParameter();
        var untouched = Tensor.From([1.0], 1).AsParameter();
        using var adam = new Adam([new("p", parameter), new("untouched", untouched)], rate)
        {
            Beta1 = beta1,
            Beta2 = beta2,
            Epsilon = epsilon,
            WeightDecay = decay,
        };

        var (m, v, p) = (new double[3], new double[3], start.ToArray());
        for (var step = 1; step <= 3; step++)
        {
            adam.ZeroGrad();
            Operator.Of("aten::dot").Call(parameter, Tensor.From(coefficients, 3)).Backward();
            adam.Step();

            for (var i = 0; i < 3; i++)
            {
                var gradient = coefficients[i] + decay * p[i];
                m[i] = beta1 * m[i] + (1 - beta1) * gradient;
                v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
                var mHat = m[i] / (1 - Math.Pow(beta1, step));
                var vHat = v[i] / (1 - Math.Pow(beta2, step));
                p[i] -= rate * mHat / (Math.Sqrt(vHat) + epsilon);
            }

            var actual = parameter.ToArray<double>();
            for (var i = 0; i < 3; i++)
                actual[i].ShouldBe(p[i], tolerance: 1e-12);
        }

        adam.Steps.ShouldBe(3);
        untouched.ToArray<double>().ShouldBe([1.0], "a parameter without a gradient stays");
    });

    // The worked numbers of one step without bias correction: theta 0.5, rate 0.1, gradient -1.2 gives 0.62.
    [Fact]
    public async Task A_gradient_step_equals_the_worked_example() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        var theta = Tensor.From([0.5], 1).AsParameter();
        theta.Scaled(-1.2, 0).Sum().Backward();
        var gradient = theta.Grad.ShouldNotBeNull();
        using (NoGrad.Begin())
            theta.Add(gradient, factor: -0.1);

        theta.Item().ShouldBe(0.62, tolerance: 1e-12);
    });

    // MSE of labels (0, 1) and predictions (0.6, 0.4).
    [Fact]
    public async Task The_mean_squared_error_equals_the_worked_example() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        Tensor.From([0.6, 0.4], 2).MeanSquaredError(Tensor.From([0.0, 1.0], 2)).Item().ShouldBe(0.36, tolerance: 1e-12);
    });

    /// <summary>
    /// Ten samples, one sigmoid behind another, stochastic gradient descent at rate 0.1 for 100 epochs: through autograd,
    /// and beside it by the chain rule written out.
    /// </summary>
    [Fact]
    public async Task A_network_of_two_sigmoids_learns_by_stochastic_gradient_descent() => await torch.Run(() =>
    {
        const double rate = 0.1;
        const int epochs = 100;
        var samples = Enumerable.Range(0, 10).Select(i => (X: i / 10.0, Y: i < 5 ? 0.0 : 1.0)).ToArray();
        double[] initial = [0.4, -0.1, 0.6, 0.2]; // w1, b1, w2, b2

        using var outer = new TensorScope();
        var parameters = initial.Select(value => Tensor.From([value], 1, 1).AsParameter()).ToArray();
        var biases = new[] { Tensor.From([initial[1]], 1).AsParameter(), Tensor.From([initial[3]], 1).AsParameter() };
        var (w1, b1, w2, b2) = (parameters[0], biases[0], parameters[2], biases[1]);
        var (v1, c1, v2, c2) = (initial[0], initial[1], initial[2], initial[3]);
        var errorBefore = Error();

        for (var epoch = 0; epoch < epochs; epoch++)
        {
            foreach (var (x, y) in samples)
            {
                using var scope = new TensorScope();
                Output(x).MeanSquaredError(Tensor.From([y], 1, 1)).Backward();
                using (NoGrad.Begin())
                {
                    foreach (var parameter in new[] { w1, b1, w2, b2 })
                    {
                        var gradient = parameter.Grad.ShouldNotBeNull();
                        parameter.Add(gradient, -rate);
                        gradient.Add(gradient, -1);
                    }
                }

                var hidden = Sigmoid(v1 * x + c1);
                var output = Sigmoid(v2 * hidden + c2);
                var outputDelta = 2 * (output - y) * output * (1 - output);
                var hiddenDelta = outputDelta * v2 * hidden * (1 - hidden);
                (v2, c2) = (v2 - rate * outputDelta * hidden, c2 - rate * outputDelta);
                (v1, c1) = (v1 - rate * hiddenDelta * x, c1 - rate * hiddenDelta);
            }
        }

        w1.Item().ShouldBe(v1, tolerance: 1e-9);
        b1.Item().ShouldBe(c1, tolerance: 1e-9);
        w2.Item().ShouldBe(v2, tolerance: 1e-9);
        b2.Item().ShouldBe(c2, tolerance: 1e-9);
        Error().ShouldBeLessThan(errorBefore);

        Tensor Output(double x) => Tensor.From([x], 1, 1).Linear(w1, b1).Sigmoid().Linear(w2, b2).Sigmoid();

        double Error()
        {
            using var scope = new TensorScope();
            using var noGrad = NoGrad.Begin();
            return samples.Sum(sample => Math.Pow(Output(sample.X).Item() - sample.Y, 2));
        }

        static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));
    });

    [Fact]
    public void A_permutation_holds_every_index_once_and_depends_on_seed_and_epoch()
    {
        var order = new SeededRandom(7, RandomPurpose.Shuffle, 0).Permutation(1000);

        order.Order().ShouldBe(Enumerable.Range(0, 1000).Select(i => (long)i));
        order.ShouldBe(new SeededRandom(7, RandomPurpose.Shuffle, 0).Permutation(1000));
        order.ShouldNotBe(new SeededRandom(7, RandomPurpose.Shuffle, 1).Permutation(1000));
        order.ShouldNotBe(new SeededRandom(8, RandomPurpose.Shuffle, 0).Permutation(1000));
    }
}
