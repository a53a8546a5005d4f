using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Platform.GpuWorker.Torch;

/// <summary>An operator's argument or result: <c>pt_arg</c> of the header.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeArgument
{
    public NativeArgumentTag Tag;
    public int Count;
    public long Integer;
    public double Number;
    public void* Pointer;
}

internal enum NativeArgumentTag
{
    None = 0,
    Tensor = 1,
    Int = 2,
    Double = 3,
    Bool = 4,
    IntList = 5,
    DoubleList = 6,
    TensorList = 7,
    String = 8,
    Device = 9,
    Default = 10,
    Value = 11,
}

internal sealed class TensorHandle() : SafeHandle(invalidHandleValue: 0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        Native.TensorFree(handle);
        return true;
    }
}

/// <summary>An operator's result that is neither tensor nor number.</summary>
internal sealed class ValueHandle() : SafeHandle(invalidHandleValue: 0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        Native.ValueFree(handle);
        return true;
    }
}

/// <summary>The functions of <c>native/platform_torch.h</c>, one to one; that file says what each does.</summary>
internal static unsafe partial class Native
{
    private const string Library = TorchLibrary.Name;

    [LibraryImport(Library, EntryPoint = "pt_abi_version")]
    public static partial int AbiVersion();

    [LibraryImport(Library, EntryPoint = "pt_torch_version")]
    public static partial byte* TorchVersion();

    [LibraryImport(Library, EntryPoint = "pt_last_error")]
    private static partial byte* LastError();

    [LibraryImport(Library, EntryPoint = "pt_live_handles")]
    public static partial long LiveHandles();

    [LibraryImport(Library, EntryPoint = "pt_initialize")]
    public static partial TorchStatus Initialize();

    [LibraryImport(Library, EntryPoint = "pt_set_num_threads")]
    public static partial TorchStatus SetNumThreads(int threads);

    [LibraryImport(Library, EntryPoint = "pt_get_num_threads")]
    public static partial TorchStatus GetNumThreads(out int threads);

    [LibraryImport(Library, EntryPoint = "pt_manual_seed")]
    public static partial TorchStatus ManualSeed(long seed);

    [LibraryImport(Library, EntryPoint = "pt_set_deterministic")]
    public static partial TorchStatus SetDeterministic(int on);

    [LibraryImport(Library, EntryPoint = "pt_cuda_device_count")]
    public static partial TorchStatus CudaDeviceCount(out int count);

    [LibraryImport(Library, EntryPoint = "pt_synchronize")]
    public static partial TorchStatus Synchronize(int deviceType, int deviceIndex);

    [LibraryImport(Library, EntryPoint = "pt_tensor_from_host")]
    public static partial TorchStatus TensorFromHost(
        void* data, DType type, long* shape, int dimensions, int deviceType, int deviceIndex, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_tensor_free")]
    public static partial void TensorFree(nint tensor);

    [LibraryImport(Library, EntryPoint = "pt_tensor_info")]
    public static partial TorchStatus TensorInfo(
        TensorHandle tensor, out DType type, out int deviceType, out int deviceIndex, out int requiresGrad,
        long* shape, int shapeCapacity, out int dimensions);

    [LibraryImport(Library, EntryPoint = "pt_tensor_to")]
    public static partial TorchStatus TensorTo(
        TensorHandle tensor, int deviceType, int deviceIndex, DType type, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_tensor_to_host")]
    public static partial TorchStatus TensorToHost(TensorHandle tensor, DType type, void* destination, long bytes);

    [LibraryImport(Library, EntryPoint = "pt_tensor_item")]
    public static partial TorchStatus TensorItem(TensorHandle tensor, out double value);

    [LibraryImport(Library, EntryPoint = "pt_set_grad_enabled")]
    public static partial TorchStatus SetGradEnabled(int enabled, out int previous);

    [LibraryImport(Library, EntryPoint = "pt_tensor_set_requires_grad")]
    public static partial TorchStatus TensorSetRequiresGrad(TensorHandle tensor, int on);

    [LibraryImport(Library, EntryPoint = "pt_tensor_grad")]
    public static partial TorchStatus TensorGrad(TensorHandle tensor, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_tensor_detach")]
    public static partial TorchStatus TensorDetach(TensorHandle tensor, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_backward")]
    public static partial TorchStatus Backward(TensorHandle scalar);

    [LibraryImport(Library, EntryPoint = "pt_zero_grad")]
    public static partial TorchStatus ZeroGrad(nint* parameters, int count);

    [LibraryImport(Library, EntryPoint = "pt_linear")]
    public static partial TorchStatus Linear(
        TensorHandle input, TensorHandle weight, TensorHandle bias, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_relu")]
    public static partial TorchStatus Relu(TensorHandle input, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_cross_entropy")]
    public static partial TorchStatus CrossEntropy(TensorHandle logits, TensorHandle targets, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_index_select")]
    public static partial TorchStatus IndexSelect(
        TensorHandle input, long dimension, TensorHandle index, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_narrow")]
    public static partial TorchStatus Narrow(
        TensorHandle input, long dimension, long start, long length, out TensorHandle result);

    [LibraryImport(Library, EntryPoint = "pt_op_find", StringMarshalling = StringMarshalling.Utf8)]
    public static partial TorchStatus OpFind(string name, string overload, out nint operation);

    [LibraryImport(Library, EntryPoint = "pt_op_schema")]
    public static partial TorchStatus OpSchema(nint operation, byte* text, long capacity, out long length);

    [LibraryImport(Library, EntryPoint = "pt_op_call")]
    public static partial TorchStatus OpCall(
        nint operation, NativeArgument* arguments, int argumentCount,
        NativeArgument* results, int resultCapacity, out int resultCount);

    [LibraryImport(Library, EntryPoint = "pt_value_free")]
    public static partial void ValueFree(nint value);

    [LibraryImport(Library, EntryPoint = "pt_adam_step")]
    public static partial TorchStatus AdamStep(
        nint* parameters, nint* m, nint* v, int count,
        long step, double rate, double beta1, double beta2, double epsilon, double weightDecay);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(TorchStatus status)
    {
        if (status != TorchStatus.Ok)
            Throw(status);
    }

    // The message belongs to the thread that made the call, so it is read before anything else can run on it.
    private static void Throw(TorchStatus status) =>
        throw TorchException.From(status, Marshal.PtrToStringUTF8((nint)LastError()) ?? "");
}
