System.Console.WriteLine("usage: append");
