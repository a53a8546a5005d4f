using System.Diagnostics.CodeAnalysis;

namespace Platform.GpuWorker.Torch;

/// <summary>Element types, numbered as c10::ScalarType.</summary>
[SuppressMessage("Naming", "CA1720", Justification = "Everybody who knows tensors knows these names.")]
public enum DType
{
    UInt8 = 0,
    Int32 = 3,
    Int64 = 4,
    Float32 = 6,
    Float64 = 7,
    Bool = 11,
    BFloat16 = 15,
}

/// <summary>Where a tensor lies: the host, or one CUDA device.</summary>
public readonly record struct TorchDevice(int Type, int Index)
{
    private const int CpuType = 0;
    private const int CudaType = 1;

    public static readonly TorchDevice Cpu = new(CpuType, -1);

    public static TorchDevice Cuda(int index) => new(CudaType, index);

    public bool IsCpu => Type == CpuType;

    /// <summary>Waits until the device has done what was asked of it; on the CPU everything is done already.</summary>
    public void Synchronize() => Native.Check(Native.Synchronize(Type, Index));

    public override string ToString() => IsCpu ? "cpu" : $"cuda:{Index}";
}
