"""PyTorch Lightning: one Linear(784, 10) with ReLU, Adam 0.02, cross-entropy, 3 epochs, batch 64."""
import warnings

import machine_energy as me
import me_example

options = me_example.start("pl", __doc__, {"pytorch_lightning": "Lightning", "torch": "PyTorch"}, batch=64)

with me.region("import"):
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.callbacks import TQDMProgressBar
    from pytorch_lightning.plugins.environments import LightningEnvironment
    from torch.nn import functional as F
    from torch.utils.data import DataLoader, TensorDataset

# Workers pay where a sample must be read or changed; these lie in memory.
warnings.filterwarnings("ignore", ".*does not have many workers.*")


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.l1 = torch.nn.Linear(28 * 28, 10)

    def forward(self, x):
        return torch.relu(self.l1(x.view(x.size(0), -1)))

    def training_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def test_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.log_dict({"loss": F.cross_entropy(logits, y), "accuracy": (logits.argmax(1) == y).float().mean()})

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.02)


with me.region("load"):
    train, test = (TensorDataset(torch.from_numpy(x), torch.from_numpy(y)) for x, y in me_example.load(options))

with me.region("build"):
    pl.seed_everything(options.seed)
    torch.set_num_threads(me_example.cores())  # Debian's build starts with one, others with one a physical core
    model = Classifier()
    loader = DataLoader(train, batch_size=options.batch, shuffle=True)
    # One device, here: two GPUs would start the script twice, and inside a Slurm allocation Lightning would take
    # the other machines for parts of one training.
    trainer = pl.Trainer(max_epochs=options.epochs, devices=1, plugins=[LightningEnvironment()], logger=False,
                         enable_checkpointing=False, callbacks=[TQDMProgressBar(refresh_rate=20)])

with me.region("train"):
    trainer.fit(model, loader)

with me.region("test"):
    result = trainer.test(model, DataLoader(test, batch_size=1000))[0]

me_example.report(len(train) * options.epochs, result["accuracy"], result["loss"])
