using System.Runtime.InteropServices;

namespace Platform.GpuWorker.Torch;

/// <summary>
/// A libtorch tensor. It is freed by the innermost <see cref="TensorScope"/> of the thread that made it, or by
/// <see cref="Dispose"/>. All calls of one engine belong on its <see cref="TorchThread"/>.
/// </summary>
public sealed class Tensor : IDisposable
{
    private const int DimensionsMax = 16;

    internal Tensor(TensorHandle handle)
    {
        Handle = handle;
        TensorScope.Add(this);
    }

    internal TensorHandle Handle { get; }

    /// <summary>Copies values in row-major order.</summary>
    /// <exception cref="ArgumentException">The shape holds another number of elements.</exception>
    public static Tensor From<T>(ReadOnlySpan<T> values, TorchDevice device, params ReadOnlySpan<long> shape)
        where T : unmanaged => FromBytes(MemoryMarshal.AsBytes(values), TypeOf<T>(), device, shape);

    public static Tensor From<T>(T[] values, params ReadOnlySpan<long> shape) where T : unmanaged =>
        From((ReadOnlySpan<T>)values, TorchDevice.Cpu, shape);

    /// <summary>Copies elements given as their bytes, little-endian, in row-major order.</summary>
    public static unsafe Tensor FromBytes(ReadOnlySpan<byte> bytes, DType type, TorchDevice device, ReadOnlySpan<long> shape)
    {
        var expected = SizeOf(type);
        foreach (var size in shape)
            expected = checked(expected * size);
        if (expected != bytes.Length)
            throw new ArgumentException($"The shape holds {expected} bytes, but {bytes.Length} were given.", nameof(bytes));

        fixed (byte* data = bytes)
        fixed (long* sizes = shape)
        {
            Native.Check(Native.TensorFromHost(data, type, sizes, shape.Length, device.Type, device.Index, out var handle));
            return new(handle);
        }
    }

    public static Tensor Zeros(TorchDevice device, DType type, params long[] shape) =>
        Operator.Of("aten::zeros").Call(shape, (long)type, null, device);

    public long[] Shape => Info().Shape;

    public DType Type => Info().Type;

    public TorchDevice Device => Info().Device;

    public bool RequiresGrad => Info().RequiresGrad;

    public long Elements => Shape.Aggregate(1L, (product, size) => product * size);

    public long Bytes => Elements * SizeOf(Type);

    /// <summary>The value of a tensor of one element; waits for the device.</summary>
    public double Item()
    {
        Native.Check(Native.TensorItem(Handle, out var value));
        return value;
    }

    /// <summary>Converts to T and copies to the host in row-major order; waits for the device.</summary>
    public unsafe T[] ToArray<T>() where T : unmanaged
    {
        var values = new T[Elements];
        fixed (T* data = values)
            Native.Check(Native.TensorToHost(Handle, TypeOf<T>(), data, (long)values.Length * sizeof(T)));
        return values;
    }

    /// <summary>The elements' bytes, little-endian, in row-major order; waits for the device.</summary>
    public unsafe byte[] ToBytes()
    {
        var bytes = new byte[Bytes];
        fixed (byte* data = bytes)
            Native.Check(Native.TensorToHost(Handle, Type, data, bytes.Length));
        return bytes;
    }

    /// <summary>This tensor with that element type, on the same device.</summary>
    public Tensor To(DType type) => To(Device, type);

    public Tensor To(TorchDevice device, DType type)
    {
        Native.Check(Native.TensorTo(Handle, device.Type, device.Index, type, out var result));
        return new(result);
    }

    /// <summary>Marks this tensor as a parameter: <see cref="Backward"/> fills its <see cref="Grad"/>.</summary>
    public Tensor AsParameter()
    {
        Native.Check(Native.TensorSetRequiresGrad(Handle, on: 1));
        return this;
    }

    /// <summary>The gradient that was accumulated, null where there is none.</summary>
    public Tensor? Grad
    {
        get
        {
            Native.Check(Native.TensorGrad(Handle, out var result));
            return result.IsInvalid ? null : new(result);
        }
    }

    /// <summary>Adds to the gradient of every parameter that this scalar was made from.</summary>
    public void Backward() => Native.Check(Native.Backward(Handle));

    /// <summary>The same values, without their history.</summary>
    public Tensor Detach()
    {
        Native.Check(Native.TensorDetach(Handle, out var result));
        return new(result);
    }

    /// <summary><c>this · weightᵀ + bias</c>; shapes (batch, in), (out, in) and (out) give (batch, out).</summary>
    public Tensor Linear(Tensor weight, Tensor bias)
    {
        Native.Check(Native.Linear(Handle, weight.Handle, bias.Handle, out var result));
        return new(result);
    }

    public Tensor Relu()
    {
        Native.Check(Native.Relu(Handle, out var result));
        return new(result);
    }

    /// <summary>Mean over the batch of <c>-log softmax(logits)[target]</c>; shapes (batch, classes) and (batch) of Int64.</summary>
    public Tensor CrossEntropy(Tensor targets)
    {
        Native.Check(Native.CrossEntropy(Handle, targets.Handle, out var result));
        return new(result);
    }

    /// <summary>The slices of a dimension that the Int64 index names, in that order.</summary>
    public Tensor IndexSelect(long dimension, Tensor index)
    {
        Native.Check(Native.IndexSelect(Handle, dimension, index.Handle, out var result));
        return new(result);
    }

    /// <summary>A view of <paramref name="length"/> slices of a dimension from <paramref name="start"/> on.</summary>
    public Tensor Narrow(long dimension, long start, long length)
    {
        Native.Check(Native.Narrow(Handle, dimension, start, length, out var result));
        return new(result);
    }

    public Tensor Sigmoid() => Operator.Of("aten::sigmoid").Call(this);

    /// <summary>Index of the largest element along a dimension, Int64.</summary>
    public Tensor ArgMax(long dimension) => Operator.Of("aten::argmax").Call(this, dimension);

    /// <summary>Where both are equal, Bool.</summary>
    public Tensor EqualTo(Tensor other) => Operator.Of("aten::eq", "Tensor").Call(this, other);

    public Tensor Sum() => Operator.Of("aten::sum").Call(this);

    /// <summary>Mean of the squared differences.</summary>
    public Tensor MeanSquaredError(Tensor target) => Operator.Of("aten::mse_loss").Call(this, target);

    /// <summary><c>this · factor + addend</c>, elementwise, in the tensor's own floating type.</summary>
    public Tensor Scaled(double factor, double addend) =>
        Operator.Of("aten::add", "Scalar").Call(Operator.Of("aten::mul", "Scalar").Call(this, factor), addend);

    /// <summary>In place: <c>this += factor · other</c>.</summary>
    public void Add(Tensor other, double factor = 1)
    {
        // The operator returns this tensor once more, in a handle of its own.
        using var same = Operator.Of("aten::add_", "Tensor").Call(this, other, factor);
    }

    public void Dispose() => Handle.Dispose();

    internal static long SizeOf(DType type) => type switch
    {
        DType.UInt8 or DType.Bool => 1,
        DType.BFloat16 => 2,
        DType.Int32 or DType.Float32 => 4,
        DType.Int64 or DType.Float64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type of the bridge."),
    };

    private static DType TypeOf<T>() where T : unmanaged => default(T) switch
    {
        float => DType.Float32,
        double => DType.Float64,
        long => DType.Int64,
        int => DType.Int32,
        byte => DType.UInt8,
        bool => DType.Bool,
        _ => throw new NotSupportedException($"{typeof(T).Name} is not an element type of the bridge."),
    };

    private unsafe (DType Type, TorchDevice Device, bool RequiresGrad, long[] Shape) Info()
    {
        var shape = stackalloc long[DimensionsMax];
        Native.Check(Native.TensorInfo(
            Handle, out var type, out var deviceType, out var deviceIndex, out var requiresGrad,
            shape, DimensionsMax, out var dimensions));
        return (type, new(deviceType, deviceIndex), requiresGrad != 0, new Span<long>(shape, dimensions).ToArray());
    }
}
