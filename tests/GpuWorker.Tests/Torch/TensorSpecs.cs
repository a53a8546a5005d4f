using Platform.GpuWorker.Tests.Support;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Tests.Torch;

[Collection(TorchTests.Name)]
public sealed class TensorSpecs : IDisposable
{
    private readonly TorchThread torch = new(cpuThreads: 1);

    public void Dispose() => torch.Dispose();

    [Fact]
    public async Task Values_come_back_as_they_went_in() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        var tensor = Tensor.From([1.5f, -2f, 3f, 4f, 5f, 6f], 2, 3);

        tensor.Shape.ShouldBe([2, 3]);
        tensor.Type.ShouldBe(DType.Float32);
        tensor.ToArray<float>().ShouldBe([1.5f, -2f, 3f, 4f, 5f, 6f]);
        tensor.To(DType.Int64).ToArray<long>().ShouldBe([1, -2, 3, 4, 5, 6]);
        tensor.IndexSelect(1, Tensor.From([2L, 0L], 2)).ToArray<float>().ShouldBe([3f, 1.5f, 6f, 4f]);
        tensor.Narrow(0, start: 1, length: 1).ToArray<float>().ShouldBe([4f, 5f, 6f]);
    });

    [Fact]
    public async Task Any_operator_of_libtorch_can_be_called_by_name() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        var tensor = Tensor.From([1f, 5f, 2f, 4f], 2, 2);

        Operator.Of("aten::softmax", "int").Schema.ShouldStartWith("aten::softmax.int(Tensor self, int dim");
        Operator.Of("aten::softmax", "int").Call(tensor, 1L).Sum().Item().ShouldBe(2, tolerance: 1e-6);
        var results = Operator.Of("aten::max", "dim").CallAll(tensor, 1L);
        ((Tensor)results[0]!).ToArray<float>().ShouldBe([5f, 4f]);
        ((Tensor)results[1]!).ToArray<long>().ShouldBe([1, 1]);
        Operator.Of("aten::cat").Call(new[] { tensor, tensor }, 0L).Shape.ShouldBe([4, 2]);
    });

    [Fact]
    public async Task A_scope_frees_what_was_made_in_it_and_keeps_what_is_kept() => await torch.Run(() =>
    {
        var before = TorchLibrary.LiveHandles;
        Tensor kept;
        using (var scope = new TensorScope())
        {
            kept = scope.Keep(Tensor.From([1f, 2f], 2));
            for (var i = 0; i < 100; i++)
                kept.Relu().Scaled(2, 1);
            TorchLibrary.LiveHandles.ShouldBe(before + 301);
        }

        TorchLibrary.LiveHandles.ShouldBe(before + 1);
        kept.ToArray<float>().ShouldBe([1f, 2f]);
        kept.Dispose();
        TorchLibrary.LiveHandles.ShouldBe(before);
    });

    [Fact]
    public async Task A_scope_that_changed_its_thread_throws()
    {
        var scope = await torch.Run(() => new TensorScope());

        Should.Throw<InvalidOperationException>(scope.Dispose).Message.ShouldContain("await");

        await torch.Run(scope.Dispose);
    }

    [Fact]
    public async Task A_scope_closed_before_one_inside_it_throws() => await torch.Run(() =>
    {
        var outer = new TensorScope();
        var inner = new TensorScope();
        Should.Throw<InvalidOperationException>(outer.Dispose);
        inner.Dispose();
        outer.Dispose();
    });

    [Fact]
    public async Task Without_grad_nothing_is_recorded_and_the_mode_comes_back() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        var parameter = Tensor.From([1f], 1).AsParameter();
        using (NoGrad.Begin())
            parameter.Scaled(2, 0).RequiresGrad.ShouldBeFalse();
        parameter.Scaled(2, 0).RequiresGrad.ShouldBeTrue();
    });

    [Fact]
    public async Task Errors_have_a_type_and_libtorchs_message() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        var matrix = Tensor.From([1f, 2f, 3f, 4f], 2, 2);
        var threeWide = Tensor.From([1f, 2f, 3f], 1, 3);

        Should.Throw<TorchException>(() => matrix.Linear(threeWide, Tensor.From([0f], 1)))
            .Message.ShouldContain("cannot be multiplied");
        Should.Throw<TorchIndexException>(() => matrix.IndexSelect(5, Tensor.From([0L], 1)));
        Should.Throw<TorchException>(() => matrix.Narrow(0, start: 1, length: 7));
        Should.Throw<TorchException>(() => Operator.Of("aten::no_such_operator")).Message.ShouldContain("no_such_operator");
        Should.Throw<TorchException>(() => Operator.Of("aten::relu").Call("text"));
        Should.Throw<TorchValueException>(() => Operator.Of("aten::relu").Call(matrix, 1L, 2L));
        Should.Throw<TorchOutOfMemoryException>(() => Tensor.Zeros(TorchDevice.Cpu, DType.Float32, 1L << 50));
        Should.Throw<ArgumentException>(() => Tensor.From([1f, 2f], 3));
        Should.Throw<NotSupportedException>(() => Operator.Of("aten::relu").Call(new object()));
    });

    [Fact]
    public async Task Threads_inside_an_operator_are_as_asked()
    {
        (await torch.Run(TorchThread.CpuThreads)).ShouldBe(1);
        using (var two = new TorchThread(cpuThreads: 2))
            (await two.Run(TorchThread.CpuThreads)).ShouldBe(2);
        using var one = new TorchThread(cpuThreads: 1);
        (await one.Run(TorchThread.CpuThreads)).ShouldBe(1);
    }
}
