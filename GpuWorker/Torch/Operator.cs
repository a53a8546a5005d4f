using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;

namespace Platform.GpuWorker.Torch;

/// <summary>
/// Any operator that libtorch's dispatcher knows, by name: <c>Operator.Of("aten::softmax", "int").Call(x, 1L)</c>.
/// Arguments are null, <see cref="Tensor"/>, long, int, double, bool, string, <see cref="TorchDevice"/> and lists of
/// tensors, longs and doubles; a dtype is a long. Arguments that are left out take the schema's defaults.
/// </summary>
public sealed class Operator
{
    private const int ResultsMax = 16;
    private static readonly ConcurrentDictionary<(string Name, string Overload), Operator> known = new();

    private readonly nint handle;

    private Operator(string name, string overload) => Native.Check(Native.OpFind(name, overload, out handle));

    /// <exception cref="TorchException">There is no such operator.</exception>
    public static Operator Of(string name, string overload = "") =>
        known.GetOrAdd((name, overload), key => new(key.Name, key.Overload));

    /// <summary>Names, types and defaults of arguments and results, in libtorch's notation.</summary>
    public unsafe string Schema
    {
        get
        {
            Native.Check(Native.OpSchema(handle, text: null, capacity: 0, out var length));
            var text = new byte[length + 1];
            fixed (byte* bytes = text)
                Native.Check(Native.OpSchema(handle, bytes, text.Length, out _));
            return Encoding.UTF8.GetString(text, 0, (int)length);
        }
    }

    /// <summary>Calls an operator whose first result is a tensor.</summary>
    public Tensor Call(params ReadOnlySpan<object?> arguments) => (Tensor)CallAll(arguments)[0]!;

    /// <summary>All results: tensors, longs, doubles, bools, null; other values cannot be read here.</summary>
    /// <exception cref="TorchException">libtorch refused an argument, or the operator failed.</exception>
    /// <exception cref="NotSupportedException">An argument has a type that is not listed above.</exception>
    public unsafe object?[] CallAll(params ReadOnlySpan<object?> arguments)
    {
        using var pins = new Pins();
        var native = new NativeArgument[arguments.Length];
        for (var i = 0; i < arguments.Length; i++)
            native[i] = pins.ToNative(arguments[i]);

        var returned = stackalloc NativeArgument[ResultsMax];
        int count;
        fixed (NativeArgument* given = native)
            Native.Check(Native.OpCall(handle, given, native.Length, returned, ResultsMax, out count));

        var results = new object?[count];
        for (var i = 0; i < count; i++)
            results[i] = FromNative(returned[i]);
        return results;
    }

    private static unsafe object? FromNative(NativeArgument result)
    {
        switch (result.Tag)
        {
            case NativeArgumentTag.Tensor:
                var tensor = new TensorHandle();
                Marshal.InitHandle(tensor, (nint)result.Pointer);
                return new Tensor(tensor);
            case NativeArgumentTag.Value:
                var value = new ValueHandle();
                Marshal.InitHandle(value, (nint)result.Pointer);
                return value;
            case NativeArgumentTag.Int:
                return result.Integer;
            case NativeArgumentTag.Double:
                return result.Number;
            case NativeArgumentTag.Bool:
                return result.Integer != 0;
            default:
                return null;
        }
    }

    /// <summary>Holds memory and handles of a call's arguments in place until the call is over.</summary>
    private sealed unsafe class Pins : IDisposable
    {
        private readonly List<GCHandle> memory = [];
        private readonly List<TensorHandle> tensors = [];

        public NativeArgument ToNative(object? argument) => argument switch
        {
            null => new() { Tag = NativeArgumentTag.None },
            Tensor tensor => new() { Tag = NativeArgumentTag.Tensor, Pointer = (void*)Hold(tensor) },
            long integer => new() { Tag = NativeArgumentTag.Int, Integer = integer },
            int integer => new() { Tag = NativeArgumentTag.Int, Integer = integer },
            double number => new() { Tag = NativeArgumentTag.Double, Number = number },
            bool flag => new() { Tag = NativeArgumentTag.Bool, Integer = flag ? 1 : 0 },
            TorchDevice device => new() { Tag = NativeArgumentTag.Device, Integer = device.Type, Count = device.Index },
            long[] list => List(NativeArgumentTag.IntList, list),
            double[] list => List(NativeArgumentTag.DoubleList, list),
            IReadOnlyList<Tensor> list => List(NativeArgumentTag.TensorList, list.Select(Hold).ToArray()),
            string text => List(NativeArgumentTag.String, Encoding.UTF8.GetBytes(text)),
            _ => throw new NotSupportedException($"{argument.GetType().Name} is no argument of an operator."),
        };

        public void Dispose()
        {
            foreach (var pin in memory)
                pin.Free();
            foreach (var tensor in tensors)
                tensor.DangerousRelease();
        }

        private NativeArgument List<T>(NativeArgumentTag tag, T[] values)
        {
            var pin = GCHandle.Alloc(values, GCHandleType.Pinned);
            memory.Add(pin);
            return new() { Tag = tag, Count = values.Length, Pointer = (void*)pin.AddrOfPinnedObject() };
        }

        private nint Hold(Tensor tensor)
        {
            var held = false;
            tensor.Handle.DangerousAddRef(ref held);
            tensors.Add(tensor.Handle);
            return tensor.Handle.DangerousGetHandle();
        }
    }
}
