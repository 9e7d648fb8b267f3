"""PyTorch: the network of keras in a plain loop (784-128-10, ReLU, Dropout 0.2, Adam, 3 epochs, batch 32)."""
import machine_energy as me
import me_example

options = me_example.start("pytorch", __doc__, {"torch": "PyTorch"})

with me.region("import"):
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

with me.region("load"):
    train, test = (TensorDataset(torch.from_numpy(x), torch.from_numpy(y)) for x, y in me_example.load(options))

with me.region("build"):
    torch.manual_seed(options.seed)
    torch.set_num_threads(me_example.cores())  # Debian's build starts with one, others with one a physical core
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)).to(device)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    loader = DataLoader(train, batch_size=options.batch, shuffle=True)

with me.region("train"):
    model.train()
    for epoch in range(options.epochs):
        total = 0.0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        print(f"epoch {epoch + 1}/{options.epochs}: loss {total / len(train):.4f}")

with me.region("test"):
    model.eval()
    loss = hits = 0.0
    with torch.no_grad():
        for x, y in DataLoader(test, batch_size=1000):
            x, y = x.to(device), y.to(device)
            logits = model(x)
            loss += loss_fn(logits, y).item() * len(x)
            hits += (logits.argmax(1) == y).sum().item()

me_example.report(len(train) * options.epochs, hits / len(test), loss / len(test))
