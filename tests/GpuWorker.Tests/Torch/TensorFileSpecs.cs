using System.Buffers.Binary;
using System.Text;
using Platform.GpuWorker.Tests.Support;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Tests.Torch;

[Collection(TorchTests.Name)]
public sealed class TensorFileSpecs : IDisposable
{
    private readonly TorchThread torch = new(cpuThreads: 1);
    private readonly TemporaryFolder folder = new();

    public void Dispose()
    {
        torch.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task Tensors_and_metadata_come_back() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        TensorFile.Of(
            new Dictionary<string, string> { ["step"] = "42" },
            [new("weight", Tensor.From([1f, 2f, 3f, 4f], 2, 2)), new("sum", Tensor.From([0.1], [])), new("none", Tensor.From<long>([], 0))])
            .Write(folder["file"]);

        var read = TensorFile.Read(folder["file"]);

        read.Metadata["step"].ShouldBe("42");
        read.Load("weight", TorchDevice.Cpu).ToArray<float>().ShouldBe([1f, 2f, 3f, 4f]);
        read.Load("weight", TorchDevice.Cpu).Shape.ShouldBe([2, 2]);
        read.Load("sum", TorchDevice.Cpu).Item().ShouldBe(0.1);
        read.Load("none", TorchDevice.Cpu).Shape.ShouldBe([0]);
        Should.Throw<InvalidDataException>(() => read.Load("missing", TorchDevice.Cpu));
        Directory.GetFiles(folder.Path).ShouldHaveSingleItem();
    });

    [Fact]
    public async Task The_layout_is_that_of_safetensors() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        TensorFile.Of(new Dictionary<string, string> { ["a"] = "b" }, [new("x", Tensor.From([1f], 1)), new("y", Tensor.From([2L], 1))])
            .Write(folder["file"]);

        var bytes = File.ReadAllBytes(folder["file"]);
        var header = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        (header % 8).ShouldBe(0);
        Encoding.UTF8.GetString(bytes, 8, header).TrimEnd().ShouldBe(
            """{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"I64","shape":[1],"data_offsets":[4,12]}}""");
        BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(8 + header)).ShouldBe(1f);
        BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(12 + header)).ShouldBe(2);
    });

    [Fact]
    public async Task A_file_that_was_cut_short_is_refused() => await torch.Run(() =>
    {
        using var scope = new TensorScope();
        TensorFile.Of(new Dictionary<string, string>(), [new("x", Tensor.From([1f, 2f], 2))]).Write(folder["file"]);
        var bytes = File.ReadAllBytes(folder["file"]);

        foreach (var length in new[] { 0, 4, 8, 20, bytes.Length - 1 })
        {
            File.WriteAllBytes(folder["file"], bytes[..length]);
            Should.Throw<InvalidDataException>(() => TensorFile.Read(folder["file"]), $"{length} bytes");
        }
    });

    [Theory]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""")]
    [InlineData("""{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}""")]
    [InlineData("""{"x":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,4]}}""")]
    [InlineData("""{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("""{"x":{"shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("""{"x":7}""")]
    [InlineData("""[1,2]""")]
    [InlineData("""not json""")]
    public void A_header_that_lies_is_refused(string header)
    {
        var bytes = Encoding.UTF8.GetBytes(header);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, bytes.Length);
        File.WriteAllBytes(folder["file"], [.. length, .. bytes, 0, 0, 0, 0]);

        Should.Throw<InvalidDataException>(() => TensorFile.Read(folder["file"]));
    }
}
